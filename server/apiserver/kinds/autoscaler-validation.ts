/** What a HorizontalPodAutoscaler measures and how fast it may move (upstream pkg/apis/autoscaling/validation). */
import type { V2CrossVersionObjectReference, V2HorizontalPodAutoscalerSpec, V2HPAScalingPolicy, V2HPAScalingRules, V2MetricIdentifier, V2MetricSpec, V2MetricTarget } from '#api/types/index.ts'
import { checkDnsLabel, checkPathSegment, tryParseQuantity } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import { requiredName } from './check.ts'
import { validateContainerResourceName } from './resource-name.ts'

const MIN_REPLICAS = 1
const STABILIZATION_SECONDS_MAX = 3600
const PERIOD_SECONDS_MAX = 1800
const SOURCES = { object: 'Object', external: 'External', pods: 'Pods', resource: 'Resource', containerResource: 'ContainerResource' } as const
const SOURCE_TYPES = Object.values(SOURCES).toSorted()
const SELECT_POLICIES = ['Disabled', 'Max', 'Min']
const POLICY_TYPES = ['Percent', 'Pods']
const TARGET_TYPES = ['Utilization', 'Value', 'AverageValue']

/** `old`: what an update changes; what was there before may stay. */
export function validateAutoscalerSpec(at: string, spec: V2HorizontalPodAutoscalerSpec, old?: V2HorizontalPodAutoscalerSpec): FieldError[] {
  const { minReplicas, maxReplicas, scaleTargetRef, metrics = [] } = spec
  const out: FieldError[] = []
  const least = old?.minReplicas === 0 ? 0 : MIN_REPLICAS
  const sameTarget = old !== undefined && (old.scaleTargetRef.apiVersion ?? '') === (scaleTargetRef.apiVersion ?? '') && old.scaleTargetRef.kind === scaleTargetRef.kind
  const group: GroupRule = sameTarget ? 'unseen' : scaleTargetRef.kind === 'ReplicationController' ? 'optional' : 'required'
  const objects: GroupRule = (old?.metrics ?? []).some((m) => m.type === 'Object' && m.object && versionErrors('', m.object.describedObject, 'optional').length > 0) ? 'unseen' : 'optional'
  if (minReplicas !== undefined && minReplicas < least) out.push(invalid(`${at}.minReplicas`, minReplicas, `must be greater than or equal to ${least}`))
  if (!maxReplicas) out.push(required(`${at}.maxReplicas`, 'must be set and greater than 0'))
  else if (maxReplicas < 0) out.push(invalid(`${at}.maxReplicas`, maxReplicas, 'must be greater than or equal to 1'))
  if (minReplicas !== undefined && maxReplicas < minReplicas) out.push(invalid(`${at}.maxReplicas`, maxReplicas, 'must be greater than or equal to `minReplicas`'))
  return [
    ...out,
    ...reference(`${at}.scaleTargetRef`, scaleTargetRef, group),
    ...metrics.flatMap((metric, i) => validateMetric(`${at}.metrics[${i}]`, metric, objects)),
    ...(minReplicas === 0 && !metrics.some(({ type }) => type === 'Object' || type === 'External') ? [forbidden(`${at}.metrics`, 'must specify at least one Object or External metric to support scaling to zero replicas')] : []),
    ...scalingRules(`${at}.behavior.scaleUp`, spec.behavior?.scaleUp),
    ...scalingRules(`${at}.behavior.scaleDown`, spec.behavior?.scaleDown),
  ]
}

/** Whether an apiVersion has to name a group: Deployments are of none but theirs. */
type GroupRule = 'required' | 'optional' | 'unseen'

function reference(at: string, ref: V2CrossVersionObjectReference, group: GroupRule): FieldError[] {
  return [...requiredName(`${at}.kind`, ref.kind, checkPathSegment), ...requiredName(`${at}.name`, ref.name, checkPathSegment), ...versionErrors(`${at}.apiVersion`, ref, group)]
}

function versionErrors(at: string, { apiVersion = '' }: V2CrossVersionObjectReference, group: GroupRule): FieldError[] {
  if (group === 'unseen') return []
  if (apiVersion.split('/').length > 2) return [invalid(at, apiVersion, `unexpected GroupVersion string: ${apiVersion}`)]
  return group === 'required' && !/^[^/]+\//.test(apiVersion) ? [invalid(at, apiVersion, 'apiVersion must specify API group')] : []
}

function scalingRules(at: string, rules: V2HPAScalingRules | undefined): FieldError[] {
  if (!rules) return []
  const out: FieldError[] = []
  const window = rules.stabilizationWindowSeconds ?? 0
  if (window < 0) out.push(invalid(`${at}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero'))
  if (window > STABILIZATION_SECONDS_MAX) out.push(invalid(`${at}.stabilizationWindowSeconds`, window, `must be less than or equal to ${STABILIZATION_SECONDS_MAX}`))
  if (rules.selectPolicy !== undefined && !SELECT_POLICIES.includes(rules.selectPolicy)) out.push(notSupported(`${at}.selectPolicy`, rules.selectPolicy, SELECT_POLICIES))
  if ((rules.policies ?? []).length === 0) out.push(required(`${at}.policies`, 'must specify at least one Policy'))
  out.push(...(rules.policies ?? []).flatMap((policy, i) => scalingPolicy(`${at}.policies[${i}]`, policy)))
  if (rules.tolerance !== undefined && sign(rules.tolerance) < 0) out.push(invalid(`${at}.tolerance`, rules.tolerance, 'must be greater than or equal to 0'))
  return out
}

function scalingPolicy(at: string, policy: V2HPAScalingPolicy): FieldError[] {
  const out: FieldError[] = []
  if (!POLICY_TYPES.includes(policy.type)) out.push(notSupported(`${at}.type`, policy.type, POLICY_TYPES))
  if (policy.value <= 0) out.push(invalid(`${at}.value`, policy.value, 'must be greater than zero'))
  if (policy.periodSeconds <= 0) out.push(invalid(`${at}.periodSeconds`, policy.periodSeconds, 'must be greater than zero'))
  if (policy.periodSeconds > PERIOD_SECONDS_MAX) out.push(invalid(`${at}.periodSeconds`, policy.periodSeconds, `must be less than or equal to ${PERIOD_SECONDS_MAX}`))
  return out
}

function validateMetric(at: string, metric: V2MetricSpec, objects: GroupRule): FieldError[] {
  const out: FieldError[] = []
  if (!metric.type) out.push(required(`${at}.type`, 'must specify a metric source type'))
  if (!SOURCE_TYPES.some((t) => t === metric.type)) out.push(notSupported(`${at}.type`, metric.type, SOURCE_TYPES))
  const keys = Object.keys(SOURCES) as (keyof typeof SOURCES)[]
  const given = keys.filter((key) => metric[key])
  const [first] = given
  if (first) out.push(...validateSource(`${at}.${first}`, first, metric, objects))
  const expected = keys.find((key) => SOURCES[key] === metric.type)
  // Upstream says so twice.
  if (!expected) out.push(notSupported(`${at}.type`, metric.type, SOURCE_TYPES))
  if (expected && !metric[expected]) out.push(required(`${at}.${expected}`, 'must populate information for the given metric source'))
  if (given.length > 1) for (const extra of given) if (extra !== expected) out.push(forbidden(`${at}.${extra}`, 'must populate the given metric source only'))
  return out
}

function validateSource(at: string, kind: keyof typeof SOURCES, metric: V2MetricSpec, objects: GroupRule): FieldError[] {
  const { object, external, pods, resource, containerResource } = metric
  if (kind === 'object' && object) return [...reference(`${at}.describedObject`, object.describedObject, objects), ...identifier(`${at}.metric`, object.metric), ...target(`${at}.target`, object.target), ...valueOrAverage(`${at}.target`, object.target, 'must set either a target value or averageValue')]
  if (kind === 'external' && external) {
    const both = external.target.value !== undefined && external.target.averageValue !== undefined
    return [
      ...identifier(`${at}.metric`, external.metric), ...target(`${at}.target`, external.target),
      ...valueOrAverage(`${at}.target`, external.target, 'must set either a target value for metric or a per-pod target'),
      ...(both ? [forbidden(`${at}.target.value`, 'may not set both a target value for metric and a per-pod target')] : []),
    ]
  }
  if (kind === 'pods' && pods) {
    const average = pods.target.averageValue
    return [...identifier(`${at}.metric`, pods.metric), ...target(`${at}.target`, pods.target), ...(average === undefined || sign(average) !== 1 ? [required(`${at}.target.averageValue`, 'must specify a positive target averageValue')] : [])]
  }
  const source = containerResource ?? resource
  if (!source) return []
  const { averageUtilization, averageValue } = source.target
  const out = source.name ? (containerResource ? validateContainerResourceName(`${at}.name`, source.name) : []) : [required(`${at}.name`, 'must specify a resource name')]
  if (containerResource) out.push(...requiredName(`${at}.container`, containerResource.container, checkDnsLabel, 'must specify a container'))
  out.push(...target(`${at}.target`, source.target))
  if (averageUtilization === undefined && averageValue === undefined) out.push(required(`${at}.target.averageUtilization`, 'must set either a target raw value or a target utilization'))
  if (averageUtilization !== undefined && averageValue !== undefined) out.push(forbidden(`${at}.target.averageValue`, 'may not set both a target raw value and a target utilization'))
  return out
}

function valueOrAverage(at: string, { value, averageValue }: V2MetricTarget, detail: string): FieldError[] {
  return value === undefined && averageValue === undefined ? [required(`${at}.averageValue`, detail)] : []
}

const identifier = (at: string, { name }: V2MetricIdentifier): FieldError[] => requiredName(`${at}.name`, name, checkPathSegment, 'must specify a metric name')

function target(at: string, { type, value, averageValue, averageUtilization }: V2MetricTarget): FieldError[] {
  const out: FieldError[] = []
  if (!type) out.push(required(`${at}.type`, 'must specify a metric target type'))
  if (!TARGET_TYPES.includes(type)) out.push(invalid(`${at}.type`, type, 'must be either Utilization, Value, or AverageValue'))
  if (value !== undefined && sign(value) !== 1) out.push(invalid(`${at}.value`, value, 'must be positive'))
  if (averageValue !== undefined && sign(averageValue) !== 1) out.push(invalid(`${at}.averageValue`, averageValue, 'must be positive'))
  if (averageUtilization !== undefined && averageUtilization < 1) out.push(invalid(`${at}.averageUtilization`, averageUtilization, 'must be greater than 0'))
  return out
}

/** -1, 0 or 1; 0 for what is no quantity. */
function sign(value: string): number {
  const parsed = tryParseQuantity(value)
  if (!parsed.ok) return 0
  return parsed.quantity.nano > 0n ? 1 : -Number(parsed.quantity.nano < 0n)
}
