import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiMetrics } from './api-metrics.ts'
import { Metric } from '#base/metrics.ts'

const printed = (metrics: ApiMetrics, more: { storeBytes?: number } = {}): string[] => metrics.print({ readOnlyInFlight: 0, mutatingInFlight: 0, kinds: [], revision: 1 }, { cpuSeconds: 1, residentBytes: 2, startTimeSeconds: 3, ...more }).toString().split('\n')

test('bounds are printed as Go prints them, because labels are compared as texts', () => {
  const metric = new Metric('m', 'histogram', 'M', [0.005, 1, 100_000, 1_000_000, 2_592_000])
  metric.observe('', 2)
  assert.deepEqual([...metric.lines()].flatMap((line) => /le="([^"]*)"/.exec(line)?.[1] ?? []), ['0.005', '1', '100000', '1e+06', '2.592e+06', '+Inf'])
})

test('the certificates of clients are told by how long they are still good, the store by what it takes on the disk, where it is one of its own', () => {
  const metrics = new ApiMetrics()
  metrics.certificateShown(86_000)
  metrics.certificateShown(-1)
  const bucket = (bound: string) => printed(metrics).find((line) => line.startsWith(`apiserver_client_certificate_expiration_seconds_bucket{le="${bound}"}`))?.split(' ')[1]
  assert.deepEqual(['0', '43200', '86400', '3.1104e+07'].map(bucket), ['1', '1', '2', '2'])
  assert.deepEqual([printed(metrics, { storeBytes: 7 }), printed(metrics)].map((lines) => lines.filter((line) => line.startsWith('apiserver_storage_size_bytes'))), [['apiserver_storage_size_bytes{storage_cluster_id="embedded"} 7'], []])
})
