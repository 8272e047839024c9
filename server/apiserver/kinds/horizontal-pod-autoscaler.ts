/** Horizontal pod autoscalers (autoscaling/v2, the stored version). */
import type { V2HorizontalPodAutoscaler as HorizontalPodAutoscaler, V2HPAScalingRules, V2MetricSpec, V2MetricStatus } from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus } from './carry.ts'
import { validateAutoscalerSpec } from './autoscaler-validation.ts'
import { nonNegative } from './check.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const CPU_TARGET_PERCENT = 80

export const horizontalPodAutoscalerStrategy: KindStrategy<HorizontalPodAutoscaler> = {
  defaults(hpa) {
    const spec = hpa.spec
    spec.minReplicas ??= 1
    if ((spec.metrics ?? []).length === 0) spec.metrics = [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: CPU_TARGET_PERCENT } } }]
    if (!spec.behavior) return
    spec.behavior.scaleUp = withRules(spec.behavior.scaleUp, { stabilizationWindowSeconds: 0, selectPolicy: 'Max', policies: [{ type: 'Pods', value: 4, periodSeconds: 15 }, { type: 'Percent', value: 100, periodSeconds: 15 }] })
    spec.behavior.scaleDown = withRules(spec.behavior.scaleDown, { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] })
  },
  prepareCreate: (hpa) => { hpa.status = { desiredReplicas: 0 } },
  prepareUpdate: keepStatus,
  generation: false,
  validate: (hpa) => validateAutoscalerSpec('spec', hpa.spec),
  validateUpdate: (hpa, old) => validateAutoscalerSpec('spec', hpa.spec, old.spec),
  validateStatusUpdate: (hpa) => [...nonNegative('status.currentReplicas', hpa.status?.currentReplicas), ...nonNegative('status.desiredReplicas', hpa.status?.desiredReplicas)],
  columns: [
    nameColumn(),
    column('Reference', 'scaleTargetRef points to the target resource to scale.', (o) => `${o.spec.scaleTargetRef.kind}/${o.spec.scaleTargetRef.name}`),
    column('Targets', 'metrics contains the specifications for which to use to calculate the desired replica count.', targetsText),
    column('MinPods', 'minReplicas is the lower limit for the number of replicas to which the autoscaler can scale down.', (o) => (o.spec.minReplicas === undefined ? '<unset>' : String(o.spec.minReplicas))),
    column('MaxPods', 'maxReplicas is the upper limit for the number of replicas to which the autoscaler can scale up.', (o) => o.spec.maxReplicas),
    column('Replicas', 'currentReplicas is current number of replicas of pods managed by this autoscaler.', (o) => o.status?.currentReplicas ?? 0),
    ageColumn(),
  ],
}

function withRules(given: V2HPAScalingRules | undefined, defaults: V2HPAScalingRules): V2HPAScalingRules {
  return { ...defaults, ...given, ...((given?.policies ?? []).length === 0 && defaults.policies && { policies: defaults.policies }) }
}

/** The first two targets with what is measured, then how many more. */
function targetsText(hpa: HorizontalPodAutoscaler): string {
  const metrics = hpa.spec.metrics ?? []
  const texts = metrics.slice(0, 2).map((metric, i) => targetText(metric, hpa.status?.currentMetrics?.[i]))
  if (texts.length === 0) return '<none>'
  return metrics.length > 2 ? `${texts.join(', ')} + ${metrics.length - 2} more...` : texts.join(', ')
}

function targetText(spec: V2MetricSpec, status: V2MetricStatus | undefined): string {
  const target = spec.resource?.target ?? spec.containerResource?.target ?? spec.pods?.target ?? spec.object?.target ?? spec.external?.target
  const current = status?.resource?.current ?? status?.containerResource?.current ?? status?.pods?.current ?? status?.object?.current ?? status?.external?.current
  if (!target) return '<unknown type>'
  const name = spec.resource?.name ?? spec.containerResource?.name
  const prefix = name === undefined ? '' : `${name}: `
  if (target.averageValue !== undefined) return `${prefix}${current?.averageValue ?? '<unknown>'}/${target.averageValue}${name === undefined && !spec.pods ? ' (avg)' : ''}`
  if (target.averageUtilization !== undefined) return `${prefix}${current?.averageUtilization === undefined ? '<unknown>' : `${current.averageUtilization}%`}/${target.averageUtilization}%`
  return `${prefix}${current?.value ?? '<unknown>'}/${target.value ?? '<auto>'}`
}
