/** What the autoscaler asks: the target's scale, and the metrics APIs that extension servers may serve. */
import { isReason, type Client, type Informer } from '#api/client/client.ts'
import { NOTHING, compileLabelSelector, formatLabelSelector, isPodReady, parseLabelSelector, quantityMilli, type LabelSelector, type Pod, type Stored, type V2HorizontalPodAutoscaler as Autoscaler, type V2MetricSpec, type V2MetricTarget } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { parseTime } from '../time.ts'
import type { AutoscalerView, MetricResult } from './decide.ts'
import { TOLERANCE, podMetricReplicas, requestMilli, valueReplicas, type Outcome, type Proposal, type Sample, type Tolerance } from './replicas.ts'

interface Scale { spec?: { replicas?: number }; status?: { selector?: string } }

/** The path of the target's `/scale`; throws in upstream's words. */
export async function scalePath(client: Client, hpa: Stored<Autoscaler>, signal: AbortSignal): Promise<string> {
  const { apiVersion = 'v1', kind, name } = hpa.spec.scaleTargetRef
  const { root, resource } = await resourceOf(client, apiVersion, kind, signal)
  return `${root}/namespaces/${hpa.metadata.namespace ?? ''}/${resource}/${name}/scale`
}

async function resourceOf(client: Client, apiVersion: string, kind: string, signal: AbortSignal): Promise<{ root: string; resource: string }> {
  const [group] = apiVersion.includes('/') ? apiVersion.split('/') : ['']
  const root = group === '' ? `/api/${apiVersion}` : `/apis/${apiVersion}`
  try {
    const { resources = [] } = await client.raw('GET', root, undefined, signal) as { resources?: { name: string; kind: string }[] }
    const found = resources.find((r) => r.kind === kind && !r.name.includes('/'))
    if (found) return { root, resource: found.name }
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error
  }
  throw new Error(`no matches for kind "${kind}" in group "${group}"`)
}

export async function readScale(client: Client, path: string, signal: AbortSignal): Promise<AutoscalerView['scale']> {
  const { spec, status } = await client.raw('GET', path, undefined, signal) as Scale
  return { replicas: spec?.replicas ?? 0, selector: status?.selector ?? '' }
}

export interface Asked { client: Client; pods: Informer<Pod>; hpa: Stored<Autoscaler>; current: number; selector: string; nowMs: number; signal: AbortSignal }

export async function readMetrics(asked: Asked): Promise<MetricResult[]> {
  const parsed = parseLabelSelector(asked.selector)
  const labels = parsed.ok ? parsed.selector : NOTHING
  const pods = asked.pods.inNamespace(asked.hpa.metadata.namespace ?? '').filter((p) => labels.matches(p.metadata.labels))
  const out: MetricResult[] = []
  for (const spec of asked.hpa.spec.metrics ?? []) out.push(await readMetric(asked, pods, spec))
  return out
}

async function readMetric(asked: Asked, pods: readonly Stored<Pod>[], spec: V2MetricSpec): Promise<MetricResult> {
  const { current, nowMs, hpa } = asked
  const tolerance = toleranceOf(hpa)
  const namespace = hpa.metadata.namespace ?? ''
  const attempt = async (failure: string, name: string, what: string, work: () => Promise<Outcome>, status: (p: Proposal) => MetricResult['status']): Promise<MetricResult> => {
    let outcome: Outcome
    try {
      outcome = await work()
    } catch (error) {
      outcome = { ok: false, message: asError(error).message }
    }
    if (!outcome.ok) return { name, failure, outcome: { ok: false, message: `${what}: ${outcome.message}` }, status: undefined }
    return { name, failure, outcome, status: status(outcome) }
  }
  const averaged = ({ utilization, averageMilli = 0 }: Proposal) => ({ ...(utilization !== undefined && { averageUtilization: utilization }), averageValue: quantityText(averageMilli) })
  const resource = spec.containerResource ?? spec.resource
  if (resource) {
    const container = spec.containerResource?.container
    const { name: of, target } = resource
    const how = target.averageUtilization === undefined ? of : `${of} ${container === undefined ? 'resource' : 'container resource'} utilization (percentage of request)`
    return attempt(container === undefined ? 'FailedGetResourceMetric' : 'FailedGetContainerResourceMetric', target.averageUtilization === undefined ? `${of} ${container === undefined ? '' : 'container '}resource` : how, `failed to get ${of} ${target.averageUtilization === undefined ? 'usage' : 'utilization'}`, async () => {
      const samples = await resourceSamples(asked, of, container)
      if (samples.length === 0) return { ok: false, message: `unable to get metrics for resource ${of}: no metrics returned from resource metrics API` }
      return podMetricReplicas({ current, pods, samples, isCpu: of === 'cpu', target: target.averageUtilization === undefined ? { averageMilli: quantityMilli(target.averageValue) } : { utilization: target.averageUtilization, requestMilli: (pod) => requestMilli(pod, of, container) }, tolerance, nowMs })
    }, (p) => (container === undefined ? { type: 'Resource', resource: { name: of, current: averaged(p) } } : { type: 'ContainerResource', containerResource: { name: of, container, current: averaged(p) } }))
  }
  if (spec.pods) {
    const { metric, target } = spec.pods
    return attempt('FailedGetPodsMetric', `pods metric ${metric.name}`, `failed to get pods metric value`, async () => {
      const samples = await customSamples(asked, `namespaces/${namespace}/pods/*/${metric.name}`, metric.selector)
      return podMetricReplicas({ current, pods, samples, isCpu: false, target: { averageMilli: quantityMilli(target.averageValue) }, tolerance, nowMs })
    }, (p) => ({ type: 'Pods', pods: { metric, current: { averageValue: quantityText(p.averageMilli ?? 0) } } }))
  }
  const readyPods = pods.filter((p) => p.status?.phase === 'Running' && isPodReady(p)).length
  const single = (valueMilli: number, target: V2MetricTarget): Outcome => ({ ok: true, ...valueReplicas({ current, valueMilli, target: target.value === undefined ? { averageMilli: quantityMilli(target.averageValue) } : { valueMilli: quantityMilli(target.value) }, tolerance, readyPods }) })
  const shown = ({ valueMilli, averageMilli }: Proposal) => ({ ...(valueMilli !== undefined && { value: quantityText(valueMilli) }), ...(averageMilli !== undefined && { averageValue: quantityText(averageMilli) }) })
  if (spec.object) {
    const { metric, target, describedObject } = spec.object
    return attempt('FailedGetObjectMetric', `${describedObject.kind} metric ${metric.name}`, `failed to get object metric value`, async () => {
      const samples = await customSamples(asked, `${await objectPath(asked, describedObject)}/${metric.name}`, metric.selector)
      return samples[0] ? single(samples[0].value, target) : { ok: false, message: 'no metrics returned from custom metrics API' }
    }, (p) => ({ type: 'Object', object: { metric, describedObject, current: shown(p) } }))
  }
  const { metric, target } = spec.external ?? { metric: { name: '' }, target: { type: '' } }
  return attempt('FailedGetExternalMetric', `external metric ${metric.name}(${JSON.stringify(metric.selector ?? null)})`, `failed to get ${metric.name} external metric value`, async () => {
    const { items = [] } = await asked.client.raw('GET', `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${metric.name}${selectorQuery('labelSelector', metric.selector)}`, undefined, asked.signal) as { items?: { value: string }[] }
    if (items.length === 0) return { ok: false, message: `unable to get external metric ${namespace}/${metric.name}/${JSON.stringify(metric.selector ?? null)}: no metrics returned from external metrics API` }
    return single(items.reduce((sum, i) => sum + quantityMilli(i.value), 0), target)
  }, (p) => ({ type: 'External', external: { metric, current: shown(p) } }))
}

async function objectPath({ client, hpa, signal }: Asked, { apiVersion = 'v1', kind, name }: { apiVersion?: string; kind: string; name: string }): Promise<string> {
  if (kind === 'Namespace') return `namespaces/${name}/metrics`
  const { resource } = await resourceOf(client, apiVersion, kind, signal)
  return `namespaces/${hpa.metadata.namespace ?? ''}/${resource}${apiVersion.includes('/') ? `.${apiVersion.split('/')[0]}` : ''}/${name}`
}

/** `tolerance` of scaling rules (KEP-4951). */
function toleranceOf({ spec: { behavior } }: Autoscaler): Tolerance {
  const of = (text: string | undefined, fallback: number): number => (text === undefined ? fallback : quantityMilli(text) / 1000)
  return { up: of(behavior?.scaleUp?.tolerance, TOLERANCE.up), down: of(behavior?.scaleDown?.tolerance, TOLERANCE.down) }
}

const quantityText = (milli: number): string => (milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`)

function selectorQuery(name: string, selector: LabelSelector | undefined): string {
  return selector ? `?${name}=${encodeURIComponent(formatLabelSelector(compileLabelSelector(selector)))}` : ''
}

interface PodMetrics { metadata?: { name?: string }; timestamp?: string; window?: string; containers?: { name: string; usage?: Record<string, string> }[] }

async function resourceSamples({ client, hpa, selector, signal }: Asked, resource: string, container: string | undefined): Promise<Sample[]> {
  const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${hpa.metadata.namespace ?? ''}/pods?labelSelector=${encodeURIComponent(selector)}`
  let items: PodMetrics[] = []
  try {
    items = ((await client.raw('GET', path, undefined, signal)) as { items?: PodMetrics[] }).items ?? []
  } catch (error) {
    throw new Error(`unable to get metrics for resource ${resource}: unable to fetch metrics from resource metrics API: ${asError(error).message}`, { cause: error })
  }
  return items.flatMap((item): Sample[] => {
    const containers = (item.containers ?? []).filter((c) => container === undefined || c.name === container)
    // Half of a pod tells nothing of all of it.
    if (containers.length === 0 || containers.some((c) => c.usage?.[resource] === undefined)) return []
    return [{ pod: item.metadata?.name ?? '', value: containers.reduce((sum, c) => sum + quantityMilli(c.usage?.[resource]), 0), timestampMs: parseTime(item.timestamp) ?? 0, windowMs: durationMs(item.window) }]
  })
}

async function customSamples({ client, selector, signal }: Asked, path: string, metricSelector: LabelSelector | undefined): Promise<Sample[]> {
  const query = new URLSearchParams({ ...(path.includes('/pods/*/') && { labelSelector: selector }), ...(metricSelector && { metricLabelSelector: formatLabelSelector(compileLabelSelector(metricSelector)) }) })
  const { items = [] } = await client.raw('GET', `/apis/custom.metrics.k8s.io/v1beta2/${path}${query.size > 0 ? `?${query.toString()}` : ''}`, undefined, signal) as { items?: { describedObject?: { name?: string }; timestamp?: string; value: string }[] }
  return items.map((i) => ({ pod: i.describedObject?.name ?? '', value: quantityMilli(i.value), timestampMs: parseTime(i.timestamp) ?? 0, windowMs: 60_000 }))
}

/** metav1.Duration, as metrics-server writes it: `15.0s`, `1m0s`. */
function durationMs(text: string | undefined): number {
  return [...(text ?? '').matchAll(/([\d.]+)(ms|s|m|h)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * ({ ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit ?? ''] ?? 0), 0)
}

