/**
 * autoscaling/v1: a view of the autoscalers kept as autoscaling/v2. Version 1 knows one CPU target; everything else
 * travels in annotations, as JSON of version 1's own metric types (upstream `pkg/apis/autoscaling/v1/conversion.go`).
 */
import type {
  HorizontalPodAutoscaler, HorizontalPodAutoscalerStatus, LabelSelector, ObjectMeta, V2CrossVersionObjectReference, V2HorizontalPodAutoscaler, V2HorizontalPodAutoscalerBehavior,
  V2HorizontalPodAutoscalerCondition, V2HorizontalPodAutoscalerStatus, V2MetricSpec, V2MetricStatus, V2MetricTarget,
} from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { horizontalPodAutoscalerStrategy as v2 } from './horizontal-pod-autoscaler.ts'

const METRICS = 'autoscaling.alpha.kubernetes.io/metrics'
const BEHAVIOR = 'autoscaling.alpha.kubernetes.io/behavior'
const CURRENT = 'autoscaling.alpha.kubernetes.io/current-metrics'
const CONDITIONS = 'autoscaling.alpha.kubernetes.io/conditions'
const CARRIED: readonly string[] = [METRICS, BEHAVIOR, CURRENT, CONDITIONS]

interface OldMetricSpec {
  type: string
  resource?: { name: string; targetAverageUtilization?: number; targetAverageValue?: string }
  containerResource?: { name: string; targetAverageUtilization?: number; targetAverageValue?: string; container: string }
  pods?: { metricName: string; targetAverageValue: string; selector?: LabelSelector }
  object?: { target: V2CrossVersionObjectReference; metricName: string; targetValue: string; selector?: LabelSelector; averageValue?: string }
  external?: { metricName: string; metricSelector?: LabelSelector; targetValue?: string; targetAverageValue?: string }
}

interface OldMetricStatus {
  type: string
  resource?: { name: string; currentAverageUtilization?: number; currentAverageValue: string }
  containerResource?: { name: string; currentAverageUtilization?: number; currentAverageValue: string; container: string }
  pods?: { metricName: string; currentAverageValue: string; selector?: LabelSelector }
  object?: { target: V2CrossVersionObjectReference; metricName: string; currentValue: string; selector?: LabelSelector; averageValue?: string }
  external?: { metricName: string; metricSelector?: LabelSelector; currentValue: string; currentAverageValue?: string }
}

type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> }
/** Without what is undefined. */
const given = <T extends object>(object: T): Given<T> => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Given<T>

const isCpu = (m: V2MetricSpec): boolean => m.type === 'Resource' && m.resource?.name === 'cpu' && m.resource.target.averageUtilization !== undefined
const isCpuNow = (m: V2MetricStatus): boolean => m.type === 'Resource' && m.resource?.name === 'cpu' && m.resource.current.averageUtilization !== undefined

export function autoscalerFromStored(stored: V2HorizontalPodAutoscaler): HorizontalPodAutoscaler {
  const { metadata, spec, status } = stored
  const cpu = spec.metrics?.find(isCpu)
  const others = (spec.metrics ?? []).filter((m) => m !== cpu)
  const carried = given({
    [METRICS]: others.length > 0 ? JSON.stringify(others.map(oldSpec)) : undefined,
    [BEHAVIOR]: spec.behavior && JSON.stringify(spec.behavior),
    ...carriedStatus(status),
  })
  return {
    apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler',
    metadata: withAnnotations(metadata ?? {}, carried),
    spec: given({ scaleTargetRef: spec.scaleTargetRef, minReplicas: spec.minReplicas, maxReplicas: spec.maxReplicas, targetCPUUtilizationPercentage: cpu?.resource?.target.averageUtilization }),
    ...(status && { status: statusFromStored(status) }),
  }
}

export function autoscalerToStored(view: HorizontalPodAutoscaler): V2HorizontalPodAutoscaler {
  const { metadata = {}, spec, status } = view
  const carried = metadata.annotations ?? {}
  const others = parsed<OldMetricSpec[]>(carried[METRICS], Array.isArray)?.map(newSpec) ?? []
  const { targetCPUUtilizationPercentage: percent } = spec
  const cpu: V2MetricSpec[] = percent === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } } }]
  const stored: V2HorizontalPodAutoscaler = {
    apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler',
    metadata: withAnnotations(metadata, {}),
    spec: given({ scaleTargetRef: spec.scaleTargetRef, minReplicas: spec.minReplicas, maxReplicas: spec.maxReplicas, metrics: [...others, ...cpu], behavior: parsed<V2HorizontalPodAutoscalerBehavior>(carried[BEHAVIOR], isObject) }),
    ...(status && { status: statusToStored(status, carried) }),
  }
  v2.defaults?.(stored)
  return stored
}

function carriedStatus(status: V2HorizontalPodAutoscalerStatus | undefined): Record<string, string | undefined> {
  const { currentMetrics = [] } = status ?? {}
  return {
    // That of the processors, too: version 1 has no field for its raw value.
    [CURRENT]: currentMetrics.length > 0 ? JSON.stringify(currentMetrics.map(oldStatus)) : undefined,
    [CONDITIONS]: status?.conditions && status.conditions.length > 0 ? JSON.stringify(status.conditions) : undefined,
  }
}

function statusFromStored(status: V2HorizontalPodAutoscalerStatus): HorizontalPodAutoscalerStatus {
  const { observedGeneration, lastScaleTime, currentReplicas = 0, desiredReplicas, currentMetrics = [] } = status
  return given({ observedGeneration, lastScaleTime, currentReplicas, desiredReplicas, currentCPUUtilizationPercentage: currentMetrics.find(isCpuNow)?.resource?.current.averageUtilization })
}

function statusToStored(status: HorizontalPodAutoscalerStatus, carried: Readonly<Record<string, string>>): V2HorizontalPodAutoscalerStatus {
  const { observedGeneration, lastScaleTime, currentReplicas, desiredReplicas, currentCPUUtilizationPercentage: percent } = status
  const cpu: V2MetricStatus[] = percent === undefined ? [] : [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: percent } } }]
  // The annotation says more than the field.
  const currentMetrics = parsed<OldMetricStatus[]>(carried[CURRENT], Array.isArray)?.map(newStatus) ?? cpu
  const conditions = parsed<V2HorizontalPodAutoscalerCondition[]>(carried[CONDITIONS], Array.isArray)
  return given({ observedGeneration, lastScaleTime, currentReplicas, desiredReplicas, currentMetrics: currentMetrics.length > 0 ? currentMetrics : undefined, conditions })
}

/** Annotations that carry nothing of version 2, and these. */
function withAnnotations(metadata: ObjectMeta, carried: Readonly<Record<string, string>>): ObjectMeta {
  const own = Object.entries(metadata.annotations ?? {}).filter(([key]) => !CARRIED.includes(key))
  const { annotations: _, ...rest } = metadata
  const annotations = { ...Object.fromEntries(own), ...carried }
  return Object.keys(annotations).length > 0 ? { ...rest, annotations } : rest
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a client wrote there by hand and is no such thing is as if it was not there. */
function parsed<T>(text: string | undefined, is: (value: unknown) => boolean): T | undefined {
  if (text === undefined) return undefined
  try {
    const value = JSON.parse(text) as unknown
    return is(value) && (!Array.isArray(value) || value.every(isObject)) ? (value as T) : undefined
  } catch {
    return undefined // Not JSON.
  }
}

function oldSpec({ type, resource, containerResource, pods, object, external }: V2MetricSpec): OldMetricSpec {
  return given({
    type,
    resource: resource && given({ name: resource.name, targetAverageUtilization: resource.target.averageUtilization, targetAverageValue: resource.target.averageValue }),
    containerResource: containerResource && given({ name: containerResource.name, targetAverageUtilization: containerResource.target.averageUtilization, targetAverageValue: containerResource.target.averageValue, container: containerResource.container }),
    pods: pods && given({ metricName: pods.metric.name, targetAverageValue: pods.target.averageValue ?? '0', selector: pods.metric.selector }),
    object: object && given({ target: object.describedObject, metricName: object.metric.name, targetValue: object.target.value ?? '0', selector: object.metric.selector, averageValue: object.target.averageValue }),
    external: external && given({ metricName: external.metric.name, metricSelector: external.metric.selector, targetValue: external.target.value, targetAverageValue: external.target.averageValue }),
  })
}

const utilization = (averageUtilization: number | undefined, averageValue: string | undefined): V2MetricTarget => given({ type: averageUtilization === undefined ? 'AverageValue' : 'Utilization', averageUtilization, averageValue })

function newSpec({ type, resource, containerResource, pods, object, external }: OldMetricSpec): V2MetricSpec {
  return given({
    type,
    resource: resource && { name: resource.name, target: utilization(resource.targetAverageUtilization, resource.targetAverageValue) },
    containerResource: containerResource && { name: containerResource.name, container: containerResource.container, target: utilization(containerResource.targetAverageUtilization, containerResource.targetAverageValue) },
    pods: pods && { metric: given({ name: pods.metricName, selector: pods.selector }), target: { type: 'AverageValue', averageValue: pods.targetAverageValue } },
    object: object && {
      describedObject: object.target, metric: given({ name: object.metricName, selector: object.selector }),
      target: object.averageValue === undefined ? { type: 'Value', value: object.targetValue } : { type: 'AverageValue', averageValue: object.averageValue },
    },
    external: external && { metric: given({ name: external.metricName, selector: external.metricSelector }), target: given({ type: external.targetValue === undefined ? 'AverageValue' : 'Value', value: external.targetValue, averageValue: external.targetAverageValue }) },
  })
}

function oldStatus({ type, resource, containerResource, pods, object, external }: V2MetricStatus): OldMetricStatus {
  return given({
    type,
    resource: resource && given({ name: resource.name, currentAverageUtilization: resource.current.averageUtilization, currentAverageValue: resource.current.averageValue ?? '0' }),
    containerResource: containerResource && given({ name: containerResource.name, currentAverageUtilization: containerResource.current.averageUtilization, currentAverageValue: containerResource.current.averageValue ?? '0', container: containerResource.container }),
    pods: pods && given({ metricName: pods.metric.name, currentAverageValue: pods.current.averageValue ?? '0', selector: pods.metric.selector }),
    object: object && given({ target: object.describedObject, metricName: object.metric.name, currentValue: object.current.value ?? '0', selector: object.metric.selector, averageValue: object.current.averageValue }),
    external: external && given({ metricName: external.metric.name, metricSelector: external.metric.selector, currentValue: external.current.value ?? '0', currentAverageValue: external.current.averageValue }),
  })
}

function newStatus({ type, resource, containerResource, pods, object, external }: OldMetricStatus): V2MetricStatus {
  return given({
    type,
    resource: resource && { name: resource.name, current: given({ averageUtilization: resource.currentAverageUtilization, averageValue: resource.currentAverageValue }) },
    containerResource: containerResource && { name: containerResource.name, container: containerResource.container, current: given({ averageUtilization: containerResource.currentAverageUtilization, averageValue: containerResource.currentAverageValue }) },
    pods: pods && { metric: given({ name: pods.metricName, selector: pods.selector }), current: { averageValue: pods.currentAverageValue } },
    object: object && { describedObject: object.target, metric: given({ name: object.metricName, selector: object.selector }), current: given({ value: object.currentValue, averageValue: object.averageValue }) },
    external: external && { metric: given({ name: external.metricName, selector: external.metricSelector }), current: given({ value: external.currentValue, averageValue: external.currentAverageValue }) },
  })
}

/** Runs a rule of version 2 on what the view is there, and takes back what it did. */
function onStored(view: HorizontalPodAutoscaler, act: (stored: V2HorizontalPodAutoscaler) => void): void {
  const stored = autoscalerToStored(view)
  act(stored)
  const { metadata, spec, status } = autoscalerFromStored(stored)
  view.metadata ??= {}
  if (metadata?.annotations) view.metadata.annotations = metadata.annotations
  else delete view.metadata.annotations
  view.spec = spec
  if (status) view.status = status
  else delete view.status
}

export const horizontalPodAutoscalerV1Strategy: KindStrategy<HorizontalPodAutoscaler> = {
  defaults: (view) => { onStored(view, () => undefined) },
  prepareCreate: (view, ctx) => { onStored(view, (stored) => v2.prepareCreate?.(stored, ctx)) },
  prepareUpdate: (view, old, ctx) => { onStored(view, (stored) => v2.prepareUpdate?.(stored, autoscalerToStored(old), ctx)) },
  // Half of the status is in annotations.
  prepareStatusUpdate(view, old) {
    const { status } = autoscalerToStored(view)
    view.spec = old.spec
    onStored(view, (stored) => {
      if (status) stored.status = status
      else delete stored.status
    })
  },
  generation: false,
  validate: (view, ctx) => v2.validate?.(autoscalerToStored(view), ctx) ?? [],
  validateUpdate: (view, old, ctx) => v2.validateUpdate?.(autoscalerToStored(view), autoscalerToStored(old), ctx) ?? [],
  validateStatusUpdate: (view, old, ctx) => v2.validateStatusUpdate?.(autoscalerToStored(view), autoscalerToStored(old), ctx) ?? [],
  columns: (v2.columns ?? []).map((column) => ({ ...column, value: (view: HorizontalPodAutoscaler, nowMs: number) => column.value(autoscalerToStored(view), nowMs) })),
}

