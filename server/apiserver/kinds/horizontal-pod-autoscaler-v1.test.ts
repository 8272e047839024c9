import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { V2HorizontalPodAutoscaler, V2MetricSpec, V2MetricStatus } from '#api/types/index.ts'
import { causes, cluster } from './kinds.test-support.ts'
import { autoscalerFromStored, autoscalerToStored } from './horizontal-pod-autoscaler-v1.ts'

const V1 = '/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers'
const V2 = V1.replace('/v1/', '/v2/')
const MERGE = { 'content-type': 'application/merge-patch+json' }
const TARGET = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }
const ANNOTATION = 'autoscaling.alpha.kubernetes.io'

const CPU: V2MetricSpec = { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }
const METRICS: V2MetricSpec[] = [
  { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } } },
  { type: 'ContainerResource', containerResource: { name: 'cpu', container: 'web', target: { type: 'Utilization', averageUtilization: 70 } } },
  { type: 'Pods', pods: { metric: { name: 'rps', selector: { matchLabels: { a: 'b' } } }, target: { type: 'AverageValue', averageValue: '100' } } },
  { type: 'Object', object: { describedObject: TARGET, metric: { name: 'hits' }, target: { type: 'Value', value: '2k' } } },
  { type: 'Object', object: { describedObject: TARGET, metric: { name: 'hits' }, target: { type: 'AverageValue', averageValue: '3' } } },
  { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '30' } } },
  { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'Value', value: '30' } } },
]
const CURRENT: V2MetricStatus[] = [
  { type: 'Resource', resource: { name: 'memory', current: { averageValue: '512Mi' } } },
  { type: 'Pods', pods: { metric: { name: 'rps' }, current: { averageValue: '90' } } },
  { type: 'Object', object: { describedObject: TARGET, metric: { name: 'hits' }, current: { value: '1k' } } },
  { type: 'External', external: { metric: { name: 'queue' }, current: { value: '20', averageValue: '2' } } },
  { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 33, averageValue: '66m' } } },
]

function everything(): V2HorizontalPodAutoscaler {
  const stored: V2HorizontalPodAutoscaler = {
    apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler', metadata: { name: 'h', annotations: { mine: 'x' } },
    spec: {
      scaleTargetRef: TARGET, minReplicas: 2, maxReplicas: 9, metrics: [...METRICS, CPU],
      behavior: { scaleUp: { stabilizationWindowSeconds: 5, selectPolicy: 'Min', policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] }, scaleDown: { selectPolicy: 'Disabled', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] } },
    },
    status: { observedGeneration: 1, lastScaleTime: '2026-01-01T00:00:00Z', currentReplicas: 2, desiredReplicas: 3, currentMetrics: CURRENT, conditions: [{ type: 'AbleToScale', status: 'True', reason: 'r', message: 'm', lastTransitionTime: '2026-01-01T00:00:00Z' }] },
  }
  return stored
}

describe('autoscaling/v1', () => {
  test('what version 1 has no fields for is in annotations, and comes back from them unharmed', () => {
    const view = autoscalerFromStored(everything())
    assert.deepStrictEqual([view.spec, view.status], [
      { scaleTargetRef: TARGET, minReplicas: 2, maxReplicas: 9, targetCPUUtilizationPercentage: 50 },
      { observedGeneration: 1, lastScaleTime: '2026-01-01T00:00:00Z', currentReplicas: 2, desiredReplicas: 3, currentCPUUtilizationPercentage: 33 },
    ])
    const annotations = view.metadata?.annotations ?? {}
    assert.deepStrictEqual(Object.keys(annotations), ['mine', `${ANNOTATION}/metrics`, `${ANNOTATION}/behavior`, `${ANNOTATION}/current-metrics`, `${ANNOTATION}/conditions`])
    const metrics = JSON.parse(annotations[`${ANNOTATION}/metrics`] ?? '') as unknown[]
    assert.deepStrictEqual([metrics[0], metrics[3], metrics[5]], [
      { type: 'Resource', resource: { name: 'memory', targetAverageValue: '1Gi' } },
      { type: 'Object', object: { target: TARGET, metricName: 'hits', targetValue: '2k' } },
      { type: 'External', external: { metricName: 'queue', targetAverageValue: '30' } },
    ])
    assert.deepStrictEqual(autoscalerToStored(view), everything())
  })

  test('annotations that are not what they are called are left out', () => {
    for (const text of ['{', '7', 'null', '[null]', '"x"']) {
      const view = autoscalerFromStored(everything())
      view.metadata = { annotations: { [`${ANNOTATION}/metrics`]: text, [`${ANNOTATION}/behavior`]: text, [`${ANNOTATION}/conditions`]: text, [`${ANNOTATION}/current-metrics`]: text } }
      const { metadata, spec, status } = autoscalerToStored(view)
      assert.deepStrictEqual([metadata, spec.metrics, spec.behavior, status?.conditions, status?.currentMetrics?.length], [{}, [CPU], undefined, undefined, 1], text)
    }
  })

  test('one object in both versions: written in one, read and watched in the other', async () => {
    const c = cluster()
    const { call } = c
    const made = await c.create(V1, { metadata: { name: 'h' }, spec: { scaleTargetRef: TARGET, maxReplicas: 3 } })
    const watching = await c.watch(`${V2}?watch=true&resourceVersion=0`)
    assert.deepStrictEqual(made.json['spec'], { scaleTargetRef: TARGET, minReplicas: 1, maxReplicas: 3, targetCPUUtilizationPercentage: 80 })
    const seen = (await call('GET', `${V2}/h`)).json
    assert.deepStrictEqual([seen['apiVersion'], seen['metadata']?.['uid'], seen['spec']?.['metrics']], ['autoscaling/v2', made.json['metadata']?.['uid'], [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }]])
    await call('PATCH', `${V2}/h`, { spec: { metrics: METRICS.slice(0, 1) } }, MERGE)
    await call('PATCH', `${V2}/h/status`, { status: everything().status }, MERGE)
    // A client of version 1 changes what it knows; the rest stays.
    const patched = await call('PATCH', `${V1}/h`, { spec: { maxReplicas: 5 } }, MERGE)
    assert.deepStrictEqual([patched.status, patched.json['metadata']?.['generation']], [200, undefined])
    const put = await call('PUT', `${V1}/h`, { metadata: { name: 'h' }, spec: { scaleTargetRef: TARGET, maxReplicas: 6, targetCPUUtilizationPercentage: 40 } })
    assert.equal(put.status, 200)
    const after = (await call('GET', `${V2}/h`)).json as unknown as V2HorizontalPodAutoscaler
    assert.deepStrictEqual([after.spec.maxReplicas, after.spec.metrics?.length, after.status?.conditions, after.status?.currentMetrics, after.metadata?.annotations], [6, 1, everything().status?.conditions, CURRENT, undefined])
    await call('PATCH', `${V1}/h/status`, { status: { desiredReplicas: 4 }, spec: { maxReplicas: 1 } }, MERGE)
    const last = (await call('GET', `${V2}/h`)).json as unknown as V2HorizontalPodAutoscaler
    assert.deepStrictEqual([last.spec.maxReplicas, last.status?.desiredReplicas, last.status?.conditions?.length], [6, 4, 1])
    assert.deepStrictEqual((await watching.next(1))[0], 'ADDED h')
    assert.deepStrictEqual(watching.events.map((e) => String(e['object']?.['apiVersion'])).filter((v) => v !== 'autoscaling/v2'), [])
    watching.stop()
  })

  test("version 2's rules and columns hold", async () => {
    const c = cluster()
    const { call } = c
    assert.deepStrictEqual(causes(await call('POST', V1, { metadata: { name: 'h' }, spec: { scaleTargetRef: { kind: '', name: 'x' }, maxReplicas: 0 } })).map((cause) => cause.split(':')[0] ?? ''), ['spec.maxReplicas', 'spec.maxReplicas', 'spec.scaleTargetRef.kind', 'spec.scaleTargetRef.apiVersion'])
    await c.create(V1, { metadata: { name: 'h' }, spec: { scaleTargetRef: TARGET, maxReplicas: 3 } })
    const table = (await call('GET', V1, undefined, { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' })).json as unknown as { rows: { cells: unknown[] }[] }
    assert.deepStrictEqual(table.rows[0]?.cells.slice(0, 6), ['h', 'Deployment/web', 'cpu: <unknown>/80%', '1', 3, 0])
  })
})
