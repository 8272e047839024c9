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

export function validateAutoscalerSpec(at: string, spec: V2HorizontalPodAutoscalerSpec): FieldError[] {
  const { minReplicas, maxReplicas } = spec
  const out: FieldError[] = []
  if (minReplicas !== undefined && minReplicas < MIN_REPLICAS) out.push(invalid(`${at}.minReplicas`, minReplicas, `must be greater than or equal to ${MIN_REPLICAS}`))
  if (maxReplicas < 1) out.push(invalid(`${at}.maxReplicas`, maxReplicas, 'must be greater than 0'))
  if (minReplicas !== undefined && maxReplicas < minReplicas) out.push(invalid(`${at}.maxReplicas`, maxReplicas, 'must be greater than or equal to `minReplicas`'))
  return [
    ...out,
    ...reference(`${at}.scaleTargetRef`, spec.scaleTargetRef),
    ...(spec.metrics ?? []).flatMap((metric, i) => validateMetric(`${at}.metrics[${i}]`, metric)),
    ...scalingRules(`${at}.behavior.scaleUp`, spec.behavior?.scaleUp),
    ...scalingRules(`${at}.behavior.scaleDown`, spec.behavior?.scaleDown),
  ]
}

function reference(at: string, ref: V2CrossVersionObjectReference): FieldError[] {
  return [...requiredName(`${at}.kind`, ref.kind, checkPathSegment), ...requiredName(`${at}.name`, ref.name, checkPathSegment)]
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

function validateMetric(at: string, metric: V2MetricSpec): FieldError[] {
  const out: FieldError[] = []
  if (!metric.type) out.push(required(`${at}.type`, 'must specify a metric source type'))
  if (!SOURCE_TYPES.some((t) => t === metric.type)) out.push(notSupported(`${at}.type`, metric.type, SOURCE_TYPES))
  const keys = Object.keys(SOURCES) as (keyof typeof SOURCES)[]
  const given = keys.filter((key) => metric[key])
  const [first] = given
  if (first) out.push(...validateSource(`${at}.${first}`, first, metric))
  const expected = keys.find((key) => SOURCES[key] === metric.type)
  // Upstream says so twice.
  if (!expected) out.push(notSupported(`${at}.type`, metric.type, SOURCE_TYPES))
  if (expected && !metric[expected]) out.push(required(`${at}.${expected}`, 'must populate information for the given metric source'))
  if (given.length > 1) for (const extra of given) if (extra !== expected) out.push(forbidden(`${at}.${extra}`, 'must populate the given metric source only'))
  return out
}

function validateSource(at: string, kind: keyof typeof SOURCES, metric: V2MetricSpec): FieldError[] {
  const { object, external, pods, resource, containerResource } = metric
  if (kind === 'object' && object) return [...reference(`${at}.describedObject`, object.describedObject), ...identifier(`${at}.metric`, object.metric), ...target(`${at}.target`, object.target), ...valueOrAverage(`${at}.target`, object.target, 'must set either a target value or averageValue')]
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
