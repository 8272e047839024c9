import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, Stored, V2HorizontalPodAutoscaler as Autoscaler } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideAutoscaler, type AutoscalerView } from './decide.ts'
import { limited, type History } from './limits.ts'
import { podMetricReplicas, requestMilli, valueReplicas, type Sample } from './replicas.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace('.000', '')
const META = { namespace: 'default', resourceVersion: '1', uid: 'u', creationTimestamp: at(9000) }

const pod = (name: string, { phase = 'Running', ready = true, started = 900, request = '100m', deleting = false }: { phase?: string; ready?: boolean; started?: number; request?: string | undefined; deleting?: boolean } = {}): Stored<Pod> => ({
  metadata: { ...META, name, ...(deleting && { deletionTimestamp: at(1) }) }, spec: { containers: [{ name: 'c', ...(request !== '' && { resources: { requests: { cpu: request } } }) }] },
  status: { phase, startTime: at(started), conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: at(started) }] },
})
const sample = (name: string, value: number): Sample => ({ pod: name, value, timestampMs: NOW, windowMs: 30_000 })

const CPU: { name: string; pods: Stored<Pod>[]; samples: Sample[]; replicas: number | string }[] = [
  { name: 'twice the target means twice the pods', pods: [pod('a'), pod('b')], samples: [sample('a', 100), sample('b', 100)], replicas: 4 },
  { name: 'a tenth too much is tolerated', pods: [pod('a'), pod('b')], samples: [sample('a', 54), sample('b', 54)], replicas: 2 },
  { name: 'half of it means half', pods: [pod('a'), pod('b')], samples: [sample('a', 25), sample('b', 25)], replicas: 1 },
  { name: 'a pod that tells nothing counts as idle on the way up', pods: [pod('a'), pod('b')], samples: [sample('a', 150)], replicas: 3 },
  { name: 'and as full on the way down', pods: [pod('a'), pod('b')], samples: [sample('a', 10)], replicas: 2 },
  { name: 'one that starts counts as idle', pods: [pod('a'), pod('b', { ready: false, started: 20 })], samples: [sample('a', 200), sample('b', 500)], replicas: 4 },
  { name: 'those that go or failed do not count', pods: [pod('a'), pod('b', { deleting: true }), pod('c', { phase: 'Failed' })], samples: [sample('a', 50), sample('b', 500), sample('c', 500)], replicas: 2 },
  { name: 'without requests nobody knows', pods: [pod('a', { request: '' })], samples: [sample('a', 50)], replicas: 'missing request for cpu in container c of Pod a' },
  { name: 'without any that is ready neither', pods: [pod('a', { phase: 'Pending' })], samples: [sample('a', 50)], replicas: 'did not receive metrics for targeted pods (pods might be unready)' },
]
for (const { name, pods, samples, replicas } of CPU) {
  test(`cpu at half of what is asked for: ${name}`, () => {
    const outcome = podMetricReplicas({ current: 2, pods, samples, isCpu: true, target: { utilization: 50, requestMilli: (p) => requestMilli(p, 'cpu') }, tolerance: { up: 0.1, down: 0.1 }, nowMs: NOW })
    assert.deepStrictEqual(outcome.ok ? outcome.replicas : outcome.message, replicas)
  })
}

test('one value for all, as a whole or for each pod', () => {
  const of = (valueMilli: number, target: { valueMilli: number } | { averageMilli: number }, current = 2) => valueReplicas({ current, valueMilli, target, tolerance: { up: 0.1, down: 0.1 }, readyPods: current }).replicas
  assert.deepStrictEqual([of(30_000, { valueMilli: 10_000 }), of(10_500, { valueMilli: 10_000 }), of(30_000, { averageMilli: 5_000 }), of(10_500, { averageMilli: 5_000 }), of(5_000, { valueMilli: 10_000 }, 0)], [6, 2, 6, 2, 1])
})

const hpa = (spec: object = {}, status: object = {}): Stored<Autoscaler> => ({ metadata: { ...META, name: 'h', generation: 1 }, spec: { maxReplicas: 10, minReplicas: 1, scaleTargetRef: { kind: 'Deployment', name: 'd' }, ...spec }, status: { desiredReplicas: 0, ...status } })
const none: History = { proposals: [], changes: [] }

test('bounds, rates and windows', () => {
  const of = (spec: object, current: number, proposed: number, history: Partial<History> = {}) => {
    const { replicas, reason, stabilized } = limited(hpa(spec), current, proposed, { ...none, ...history }, NOW)
    return [replicas, reason, ...(stabilized ? [stabilized] : [])].join(' ')
  }
  const up = { behavior: { scaleUp: { policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }], selectPolicy: 'Max' } } }
  const slowDown = { behavior: { scaleDown: { stabilizationWindowSeconds: 0, policies: [{ type: 'Percent', value: 50, periodSeconds: 60 }, { type: 'Pods', value: 1, periodSeconds: 60 }], selectPolicy: 'Max' } } }
  assert.deepStrictEqual([
    of({}, 2, 3), of({}, 1, 9), of({ maxReplicas: 3 }, 2, 9), of({ minReplicas: 2 }, 3, 1), of({}, 3, 2, { proposals: [{ atMs: NOW - 200_000, replicas: 3 }] }), of({}, 3, 2, { proposals: [{ atMs: NOW - 400_000, replicas: 3 }] }),
    of(up, 2, 9), of(up, 3, 9, { changes: [{ atMs: NOW - 30_000, delta: 1 }] }), of(up, 3, 9, { changes: [{ atMs: NOW - 90_000, delta: 1 }] }), of(slowDown, 8, 1), of({ behavior: { scaleDown: { selectPolicy: 'Disabled', stabilizationWindowSeconds: 0 } } }, 8, 1),
  ], [
    '3 DesiredWithinRange', '4 ScaleUpLimit', '3 TooManyReplicas', '2 TooFewReplicas', '3 DesiredWithinRange ScaleDownStabilized', '2 DesiredWithinRange',
    '3 ScaleUpLimit', '3 ScaleUpLimit', '4 ScaleUpLimit', '4 ScaleDownLimit', '8 ScaleDownLimit',
  ])
})

test('what an autoscaler says and does', () => {
  const of = (view: Partial<AutoscalerView>, spec: object = {}) => {
    const { actions, wakeAtMs } = decideAutoscaler({ hpa: hpa(spec), scale: { replicas: 2, selector: 'a=b' }, metrics: [], history: none, ...view }, { nowMs: NOW, random: seededRandom(1) })
    assert.equal(wakeAtMs, NOW + 15_000)
    return actions.flatMap((a) => (a.kind === 'tell' ? [`${a.reason}: ${a.message}`] : a.kind === 'scale' ? [`scale ${a.from} to ${a.replicas}: ${a.because}`] : a.kind === 'writeStatus' ? [`${a.status.currentReplicas ?? '-'}/${a.status.desiredReplicas} ${a.status.conditions?.map((c) => `${c.type}=${c.status} ${c.reason}`).join(', ')}`] : []))
  }
  const metric = (replicas: number | string) => ({ name: 'cpu resource utilization (percentage of request)', failure: 'FailedGetResourceMetric', outcome: typeof replicas === 'number' ? { ok: true as const, replicas } : { ok: false as const, message: replicas }, status: undefined })
  assert.deepStrictEqual(of({ metrics: [metric(3)] }), ['scale 2 to 3: cpu resource utilization (percentage of request) above target', '2/3 AbleToScale=True SucceededRescale, ScalingActive=True ValidMetricFound, ScalingLimited=False DesiredWithinRange'])
  assert.deepStrictEqual(of({ metrics: [metric(2)] }), ['2/2 AbleToScale=True ReadyForNewScale, ScalingActive=True ValidMetricFound, ScalingLimited=False DesiredWithinRange'])
  assert.deepStrictEqual(of({ metrics: [metric('no')] }), ['FailedGetResourceMetric: no', 'FailedComputeMetricsReplicas: invalid metrics (1 invalid out of 1), first error is: no', '2/0 AbleToScale=True SucceededGetScale, ScalingActive=False FailedGetResourceMetric'])
  // What cannot be told may be more: nothing gets smaller.
  assert.deepStrictEqual(of({ metrics: [metric('no'), metric(1)] })[2], '2/0 AbleToScale=True SucceededGetScale, ScalingActive=False FailedGetResourceMetric')
  assert.deepStrictEqual(of({ metrics: [metric('no'), metric(4)] })[0], 'scale 2 to 4: cpu resource utilization (percentage of request) above target')
  assert.deepStrictEqual(of({ scale: { replicas: 20, selector: 'a=b' } }), ['scale 20 to 10: Current number of replicas above Spec.MaxReplicas', '20/10 AbleToScale=True SucceededRescale'])
  assert.deepStrictEqual(of({ scale: { replicas: 0, selector: 'a=b' } }), ['0/0 AbleToScale=True SucceededGetScale, ScalingActive=False ScalingDisabled'])
  assert.deepStrictEqual(of({ scale: 'deployments.apps "d" not found' }), ['FailedGetScale: deployments.apps "d" not found', '-/0 AbleToScale=False FailedGetScale'])
})
