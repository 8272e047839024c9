import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { JOBS, NODES, PERSISTENT_VOLUMES, PERSISTENT_VOLUME_CLAIMS, type Job, type ResourceRef } from '#api/types/index.ts'
import type { Informers } from '#api/client/client.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { printMetrics, type Metric } from '#base/metrics.ts'
import { ControllerMetrics } from './controller-metrics.ts'

/** Those of upstream's documentation that are told: type and labels. */
const UPSTREAM: Readonly<Record<string, readonly [Metric['type'], ...string[]]>> = {
  cronjob_controller_job_creation_skew_duration_seconds: ['histogram'],
  job_controller_job_pods_finished_total: ['counter', 'completion_mode', 'result'],
  job_controller_job_sync_duration_seconds: ['histogram', 'action', 'completion_mode', 'result'],
  job_controller_job_syncs_total: ['counter', 'action', 'completion_mode', 'result'],
  job_controller_jobs_finished_total: ['counter', 'completion_mode', 'reason', 'result'],
  node_collector_evictions_total: ['counter', 'zone'],
  node_collector_unhealthy_nodes_in_zone: ['gauge', 'zone'],
  node_collector_zone_health: ['gauge', 'zone'],
  node_collector_zone_size: ['gauge', 'zone'],
  pv_collector_bound_pv_count: ['gauge', 'storage_class'],
  pv_collector_bound_pvc_count: ['gauge', 'namespace', 'storage_class', 'volume_attributes_class'],
  pv_collector_unbound_pv_count: ['gauge', 'storage_class'],
  pv_collector_unbound_pvc_count: ['gauge', 'namespace', 'storage_class', 'volume_attributes_class'],
  running_managed_controllers: ['gauge', 'manager', 'name'],
  workqueue_adds_total: ['counter', 'name'],
  workqueue_depth: ['gauge', 'name'],
  workqueue_longest_running_processor_seconds: ['gauge', 'name'],
  workqueue_queue_duration_seconds: ['histogram', 'name'],
  workqueue_retries_total: ['counter', 'name'],
  workqueue_unfinished_work_seconds: ['gauge', 'name'],
  workqueue_work_duration_seconds: ['histogram', 'name'],
}

const linesOf = (metrics: Iterable<Metric>): string[] => printMetrics(metrics).toString().split('\n').filter((line) => line !== '' && !line.startsWith('#'))
const metadata = (name: string, labels = {}) => ({ name, labels, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' })
const ready = (status: string) => ({ conditions: [{ type: 'Ready', status }] })
const ZONE = { 'topology.kubernetes.io/region': 'r', 'topology.kubernetes.io/zone': 'z' }

/** What the controllers know. */
const known = new Map<string, readonly object[]>([
  [NODES.resource, [{ metadata: metadata('n1'), status: ready('True') }, { metadata: metadata('n2'), status: ready('Unknown') }, { metadata: metadata('n3', ZONE), status: ready('True') }]],
  [PERSISTENT_VOLUMES.resource, [{ metadata: metadata('v1'), spec: { storageClassName: 'fast' }, status: { phase: 'Bound' } }, { metadata: metadata('v2'), spec: { storageClassName: 'fast' }, status: { phase: 'Released' } }]],
  [PERSISTENT_VOLUME_CLAIMS.resource, [{ metadata: { ...metadata('c1'), namespace: 'default' }, spec: { storageClassName: 'fast' }, status: { phase: 'Bound' } }, { metadata: { ...metadata('c2'), namespace: 'default' }, spec: {}, status: { phase: 'Pending' } }]],
])
const informers = { of: ({ resource }: ResourceRef) => ({ list: () => known.get(resource) ?? [] }) } as unknown as Informers

describe('the metrics of controllers', () => {
  it('have upstream\'s names, types and labels', () => {
    const metrics = new ControllerMetrics(new FakeClock())
    const job: Job = { ...JOBS, spec: { completionMode: 'Indexed', template: {} } }
    const meter = metrics.of('job-controller')
    meter.watch({ length: 0, startsMs: () => [] })
    metrics.jobSynced(job, 'pods_created', true, 5)
    metrics.jobStatus(job, { succeeded: 2, conditions: [{ type: 'Complete', status: 'True', reason: 'CompletionsReached' }] })
    metrics.cronJobSkew(1_500)
    metrics.nodeEvicted({ metadata: metadata('n3', ZONE) })
    const stop = metrics.run(['job-controller'], informers)
    const told = Object.fromEntries(metrics.all().map((metric) => [metric.name, [metric.type, ...[...(linesOf([metric])[0] ?? '').matchAll(/(\w+)="/g)].map((m) => m[1] ?? '').filter((name) => name !== 'le')]]))
    assert.deepEqual(told, UPSTREAM)
    assert.deepEqual(linesOf(metrics.all()).filter((line) => /^(running|workqueue_adds|job_controller_job(s|_pods)_finished|node_|pv_)/.test(line)).map((line) => line.replaceAll('\0', '\\0')), [
      'workqueue_adds_total{name="job"} 0', 'running_managed_controllers{manager="kube-controller-manager",name="job-controller"} 1',
      'job_controller_jobs_finished_total{completion_mode="Indexed",reason="CompletionsReached",result="succeeded"} 1', 'job_controller_job_pods_finished_total{completion_mode="Indexed",result="succeeded"} 2',
      'node_collector_evictions_total{zone="r:\\0:z"} 1', 'node_collector_zone_size{zone=""} 2', 'node_collector_zone_size{zone="r:\\0:z"} 1', 'node_collector_zone_health{zone=""} 50', 'node_collector_zone_health{zone="r:\\0:z"} 100',
      'node_collector_unhealthy_nodes_in_zone{zone=""} 1', 'node_collector_unhealthy_nodes_in_zone{zone="r:\\0:z"} 0',
      'pv_collector_bound_pv_count{storage_class="fast"} 1', 'pv_collector_unbound_pv_count{storage_class="fast"} 1',
      'pv_collector_bound_pvc_count{namespace="default",storage_class="fast",volume_attributes_class=""} 1', 'pv_collector_unbound_pvc_count{namespace="default",storage_class="",volume_attributes_class=""} 1',
    ])
    stop()
    assert.deepEqual(linesOf(metrics.all()).filter((line) => /^(running|node_collector_zone|pv_)/.test(line)), ['running_managed_controllers{manager="kube-controller-manager",name="job-controller"} 0'])
  })

  it('count what of a Job ended once, however often its status is written', () => {
    const metrics = new ControllerMetrics(new FakeClock())
    const ended = { failed: 1, conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }] }
    metrics.jobStatus({ spec: { template: {} }, status: { failed: 1 } }, ended)
    metrics.jobStatus({ spec: { template: {} }, status: ended }, ended)
    assert.deepEqual(linesOf(metrics.all()).filter((line) => /^job_controller_job(s|_pods)_finished/.test(line)), ['job_controller_jobs_finished_total{completion_mode="NonIndexed",reason="BackoffLimitExceeded",result="failed"} 1'])
  })
})
