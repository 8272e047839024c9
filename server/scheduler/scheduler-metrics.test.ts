import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PODS, type KubeObject, type Pod, type Stored } from '#api/types/index.ts'
import { printMetrics, type Metric } from '#base/metrics.ts'
import { pod } from './build.test-support.ts'
import { podResourceMetrics } from './pod-resource-metrics.ts'
import { startScheduling } from './scheduler.test-support.ts'
import { SchedulerMetrics } from './scheduler-metrics.ts'

/** Those of upstream's documentation that are told: type and labels. */
const UPSTREAM: Readonly<Record<string, readonly [Metric['type'], ...string[]]>> = {
  scheduler_cache_size: ['gauge', 'type'],
  scheduler_framework_extension_point_duration_seconds: ['histogram', 'extension_point', 'profile', 'status'],
  scheduler_pending_pods: ['gauge', 'queue'],
  scheduler_pod_scheduling_attempts: ['histogram'],
  scheduler_pod_scheduling_sli_duration_seconds: ['histogram', 'attempts'],
  scheduler_preemption_attempts_total: ['counter'],
  scheduler_preemption_victims: ['histogram'],
  scheduler_queue_incoming_pods_total: ['counter', 'event', 'queue'],
  scheduler_schedule_attempts_total: ['counter', 'profile', 'result'],
  scheduler_scheduling_algorithm_duration_seconds: ['histogram'],
  scheduler_scheduling_attempt_duration_seconds: ['histogram', 'profile', 'result'],
  scheduler_unschedulable_pods: ['gauge', 'plugin', 'profile'],
}

const linesOf = (metrics: Iterable<Metric>): string[] => printMetrics(metrics).toString().split('\n').filter((line) => line !== '' && !line.startsWith('#'))

/** What was said of each: its type, and the names of its labels. */
function told(metrics: readonly Metric[]): Record<string, [string, ...string[]]> {
  return Object.fromEntries(metrics.map((metric) => {
    const [line = ''] = linesOf([metric])
    return [metric.name, [metric.type, ...[...line.matchAll(/(\w+)="/g)].map((m) => m[1] ?? '').filter((name) => name !== 'le')]]
  }))
}

describe('the metrics of the scheduler', () => {
  it('have upstream\'s names, types and labels, and tell of pods that found a node and of one that did not', { timeout: 180_000 }, async (t) => {
    const metrics = new SchedulerMetrics()
    const cluster = await startScheduling(t, { metrics })
    await cluster.addBareNode('n1')
    const create = (name: string, cpu: string, more: object = {}) => cluster.client.create(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }], ...more } } as KubeObject)
    const get = (name: string) => cluster.client.get<Pod>(PODS, name, 'default')
    await create('gated', '1', { schedulingGates: [{ name: 'example.com/wait' }] })
    await create('fits', '3')
    await cluster.until('it has its node', async () => assert.equal((await get('fits')).spec?.nodeName, 'n1'))
    await create('large', '2')
    await cluster.until('there is no room', async () => assert.match((await get('large')).status?.conditions?.find((c) => c.type === 'PodScheduled')?.message ?? '', /1 Insufficient cpu/))
    await cluster.until('all is counted', () => Promise.resolve(assert.deepEqual(linesOf(metrics.all()).filter((line) => /^scheduler_(pending_pods|unschedulable_pods|cache_size|schedule_attempts_total\{.*"scheduled"|pod_scheduling_attempts_count|framework_extension_point_duration_seconds_count\{extension_point="Reserve")/.test(line)), [
      'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 1', 'scheduler_pod_scheduling_attempts_count 1', 'scheduler_framework_extension_point_duration_seconds_count{extension_point="Reserve",profile="default-scheduler",status="Success"} 1',
      'scheduler_pending_pods{queue="active"} 0', 'scheduler_pending_pods{queue="backoff"} 0', 'scheduler_pending_pods{queue="gated"} 1', 'scheduler_pending_pods{queue="unschedulable"} 1',
      'scheduler_unschedulable_pods{plugin="NodeResourcesFit",profile="default-scheduler"} 1', 'scheduler_unschedulable_pods{plugin="SchedulingGates",profile="default-scheduler"} 1', 'scheduler_cache_size{type="assumed_pods"} 0', 'scheduler_cache_size{type="nodes"} 1', 'scheduler_cache_size{type="pods"} 1',
    ])))
    assert.deepEqual(told(metrics.all()), UPSTREAM)
    assert.deepEqual(linesOf(metrics.resources()), [
      'kube_pod_resource_request{namespace="default",node="",pod="gated",priority="0",resource="cpu",scheduler="default-scheduler",unit="cores"} 1',
      'kube_pod_resource_request{namespace="default",node="n1",pod="fits",priority="0",resource="cpu",scheduler="default-scheduler",unit="cores"} 3',
      'kube_pod_resource_request{namespace="default",node="",pod="large",priority="0",resource="cpu",scheduler="default-scheduler",unit="cores"} 2',
    ])
  })

  it('tell of each resource with its unit, and not of pods that have ended', () => {
    const own = (name: string, more: Partial<Pod> = {}): Stored<Pod> => ({ ...pod(name, { requests: { memory: '1Mi', 'hugepages-2Mi': '2Mi', 'example.com/lamp': '1' } }).pod, ...more } as Stored<Pod>)
    const ended = own('ended')
    const units = linesOf(podResourceMetrics([own('runs'), { ...ended, spec: { ...ended.spec, containers: ended.spec?.containers ?? [], nodeName: 'n1' }, status: { phase: 'Failed' } }], 100)).filter((line) => line.startsWith('kube_pod_resource_request')).map((line) => /pod="(\w+)".*resource="([^"]+)".*unit="(\w*)"\} (\d+)/.exec(line)?.slice(1))
    assert.deepEqual(units, [['runs', 'memory', 'bytes', '1048576'], ['runs', 'hugepages-2Mi', 'bytes', '2097152'], ['runs', 'example.com/lamp', '', '1']])
  })
})
