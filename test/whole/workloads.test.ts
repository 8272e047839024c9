/** Workloads but Deployments on two nodes, with real containers and the real kubectl: daemons, stateful sets, jobs and their clocks. */
import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { apply } from './three-hosts.ts'

const container = (script: string, more: object = {}) => ({ name: 'c', image: 'busybox:1', command: ['sh', '-c', script], ...more })
const READY = { readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 } }
const template = (app: string, script: string, more: object = {}, of: object = {}) => ({ metadata: { labels: { app } }, spec: { terminationGracePeriodSeconds: 0, containers: [container(script, of)], ...more } })
const job = (name: string, script: string, spec: object = {}) => ({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { ...spec, template: template(name, script, { restartPolicy: 'Never' }) } })

describe('workloads', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const must = (...args: string[]) => cluster.must(args)
  const get = (...args: string[]) => must('get', ...args)
  const lines = async (...args: string[]) => (await get(...args)).split(/\s+/).filter((line) => line !== '').toSorted()

  before(async () => { cluster = await Cluster.create({ hosts: 2 }) })
  after(async () => { await cluster.destroy() })

  test('a DaemonSet runs once on each node, is updated, and undone', async () => {
    await apply(cluster, { apiVersion: 'apps/v1', kind: 'DaemonSet', metadata: { name: 'ds' }, spec: { selector: { matchLabels: { app: 'ds' } }, template: template('ds', 'echo one; sleep 3600', {}, READY) } })
    await must('rollout', 'status', 'ds/ds', '--timeout=60s')
    deepStrictEqual(await lines('pods', '-l', 'app=ds', '-o', 'jsonpath={.items[*].spec.nodeName}'), ['h1', 'h2'])
    await must('patch', 'ds', 'ds', '-p', JSON.stringify({ spec: { template: { spec: { containers: [container('echo two; sleep 3600')] } } } }))
    await must('rollout', 'status', 'ds/ds', '--timeout=60s')
    match(await must('logs', '-l', 'app=ds'), /^two\s+two\s*$/)
    await must('rollout', 'undo', 'ds/ds')
    await must('rollout', 'status', 'ds/ds', '--timeout=60s')
    match(await must('logs', '-l', 'app=ds'), /^one\s+one\s*$/)
    match(await must('rollout', 'history', 'ds/ds'), /REVISION\s+CHANGE-CAUSE\n2\s+<none>\n3\s+<none>/)
    await must('delete', 'ds', 'ds', '--wait')
  })

  test('a StatefulSet keeps names, order and what its pods are called in DNS; a rollout goes from the last', async () => {
    await apply(cluster,
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db' }, spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 80 }] } },
      { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'db' }, spec: { replicas: 2, serviceName: 'db', selector: { matchLabels: { app: 'db' } }, template: template('db', 'hostname; sleep 3600', {}, READY) } })
    await must('rollout', 'status', 'sts/db', '--timeout=60s')
    deepStrictEqual(await lines('pods', '-l', 'app=db', '-o', 'jsonpath={.items[*].metadata.name}'), ['db-0', 'db-1'])
    strictEqual((await must('logs', 'db-1')).trim(), 'db-1')
    const ip = await get('pod', 'db-1', '-o', 'jsonpath={.status.podIP}')
    await until('db-1 is found by name', 15_000, async () => (await cluster.kubectl(['exec', 'db-0', '--', 'nslookup', 'db-1.db.default.svc.cluster.local'])).stdout.includes(ip))
    const uid = await get('pod', 'db-0', '-o', 'jsonpath={.metadata.uid}')
    await must('delete', 'pod', 'db-0', '--wait')
    await must('rollout', 'status', 'sts/db', '--timeout=60s')
    strictEqual(await get('pod', 'db-0', '-o', 'jsonpath={.metadata.uid}') === uid, false)
    await must('patch', 'sts', 'db', '-p', JSON.stringify({ spec: { updateStrategy: { rollingUpdate: { partition: 1 } }, template: { metadata: { labels: { version: '2' } } } } }))
    await must('rollout', 'status', 'sts/db', '--timeout=60s')
    deepStrictEqual(await lines('pods', '-l', 'app=db,version=2', '-o', 'jsonpath={.items[*].metadata.name}'), ['db-1'])
    await must('scale', 'sts', 'db', '--replicas=1')
    await until('one is left', 30_000, async () => (await lines('pods', '-l', 'app=db', '-o', 'name')).join() === 'pod/db-0')
    await must('delete', 'sts', 'db', '--wait')
  })

  test('Jobs complete, fail by exit codes, run by index, and are removed when their time is over', async () => {
    await apply(cluster,
      job('ok', 'exit 0', { completions: 3, parallelism: 2 }), job('bad', 'exit 42', { backoffLimit: 5, podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } }] } }),
      job('ix', 'echo index $JOB_COMPLETION_INDEX on $(hostname); test $JOB_COMPLETION_INDEX != 1', { completionMode: 'Indexed', completions: 3, parallelism: 3, backoffLimitPerIndex: 0 }), job('brief', 'exit 0', { ttlSecondsAfterFinished: 1 }))
    await must('wait', '--for=condition=Complete', 'job/ok', '--timeout=60s')
    await must('wait', '--for=condition=Failed', 'job/bad', 'job/ix', '--timeout=60s')
    deepStrictEqual([await get('job', 'ok', '-o', 'jsonpath={.status.succeeded}'), await get('job', 'bad', '-o', 'jsonpath={.status.failed}'), await get('job', 'ix', '-o', 'jsonpath={.status.completedIndexes} {.status.failedIndexes}')], ['3', '1', '0,2 1'])
    match(await get('job', 'bad', '-o', 'jsonpath={.status.conditions[?(@.type=="Failed")].message}'), /^Container c for pod default\/bad-\w+ failed with exit code 42 matching FailJob rule at index 0$/)
    match(await must('logs', '-l', 'batch.kubernetes.io/job-name=ix,batch.kubernetes.io/job-completion-index=2'), /^index 2 on ix-2\s*$/)
    await until('the brief one is gone', 20_000, async () => (await cluster.kubectl(['get', 'job', 'brief'])).code !== 0)
    deepStrictEqual(await lines('pods', '-l', 'batch.kubernetes.io/job-name=ok', '-o', 'jsonpath={.items[*].metadata.finalizers}'), [])
    await must('delete', 'job', 'ok', 'bad', 'ix', '--wait')
    await until('their pods are gone', 30_000, async () => (await lines('pods', '-o', 'name')).length === 0)
  })

  test('a pod of a Job that is evicted or deleted is told from one that fails', async () => {
    await apply(cluster, job('moved', 'sleep 3600', { backoffLimit: 0, podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }] } }), job('gone', 'sleep 3600', { podReplacementPolicy: 'Failed' }))
    const status = async (name: string) => JSON.parse(await get('job', name, '-o', 'jsonpath={.status}')) as { active?: number; ready: number; failed?: number; conditions?: object[] }
    const ready = (name: string) => until(`${name} runs`, 40_000, async () => (await status(name)).ready === 1)
    await Promise.all([ready('moved'), ready('gone')])
    const [pod = ''] = await lines('pods', '-l', 'app=moved', '-o', 'jsonpath={.items[*].metadata.name}')
    await cluster.must(['create', '--raw', `/api/v1/namespaces/default/pods/${pod}/eviction`, '-f', '-'], { input: JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod, namespace: 'default' } }) })
    await must('delete', 'pod', '-l', 'app=gone', '--wait')
    await until('the evicted one runs anew', 40_000, async () => !(await lines('pods', '-l', 'app=moved', '-o', 'jsonpath={.items[*].metadata.name}')).includes(pod) && (await status('moved')).ready === 1)
    await ready('gone')
    deepStrictEqual([(await status('moved')).failed, (await status('moved')).conditions, (await status('gone')).failed], [undefined, undefined, 1])
    await must('delete', 'job', 'moved', 'gone', '--wait')
    await until('their pods are gone', 30_000, async () => (await lines('pods', '-o', 'name')).length === 0)
  })

  test('a Job can be suspended and resumed, and made by a CronJob by hand', async () => {
    await apply(cluster, job('long', 'sleep 3600'))
    const active = () => get('job', 'long', '-o', 'jsonpath={.status.active}')
    await until('it runs', 30_000, async () => await active() === '1')
    await must('patch', 'job', 'long', '-p', '{"spec":{"suspend":true}}')
    await until('its pod is gone', 30_000, async () => (await lines('pods', '-l', 'app=long', '-o', 'name')).length === 0)
    await must('wait', '--for=condition=Suspended', 'job/long', '--timeout=10s')
    strictEqual(await get('job', 'long', '-o', 'jsonpath={.status.failed}'), '')
    await must('patch', 'job', 'long', '-p', '{"spec":{"suspend":false}}')
    await until('it runs again', 30_000, async () => await active() === '1')
    await must('delete', 'job', 'long', '--wait')
    await apply(cluster, { apiVersion: 'batch/v1', kind: 'CronJob', metadata: { name: 'cron' }, spec: { schedule: '0 0 1 1 *', jobTemplate: { spec: { template: template('cron', 'date', { restartPolicy: 'Never' }) } } } })
    await must('create', 'job', 'now', '--from=cronjob/cron')
    await must('wait', '--for=condition=Complete', 'job/now', '--timeout=60s')
    await must('delete', 'cronjob', 'cron', '--wait')
    await until('what it owns goes with it', 30_000, async () => (await lines('jobs', '-o', 'name')).length === 0)
  })

  test('a Job is counted to the pod over servers that are killed, and a StatefulSet goes on where it was', async () => {
    await apply(cluster, job('many', 'sleep 0.2', { completions: 24, parallelism: 4 }), { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'three' }, spec: { replicas: 3, serviceName: 'three', selector: { matchLabels: { app: 'three' } }, template: template('three', 'sleep 3600', {}, READY) } })
    for (const done of [3, 10]) {
      await until(`${done} pods are counted`, 60_000, async () => Number(await get('job', 'many', '-o', 'jsonpath={.status.succeeded}')) >= done)
      await cluster.stop(cluster.server, 'SIGKILL')
      cluster.start(cluster.server)
      await cluster.waitForApi()
    }
    await must('wait', '--for=condition=Complete', 'job/many', '--timeout=90s')
    const status = JSON.parse(await get('job', 'many', '-o', 'jsonpath={.status}')) as { succeeded: number; failed?: number; uncountedTerminatedPods: object }
    deepStrictEqual([status.succeeded, status.failed, status.uncountedTerminatedPods], [24, undefined, {}])
    // Each success is a pod of its own, and none is held back.
    const { items } = JSON.parse(await get('pods', '-l', 'app=many', '-o', 'json')) as { items: { metadata: { finalizers?: string[] }; status: { phase: string } }[] }
    deepStrictEqual(items.map((p) => [p.metadata.finalizers, p.status.phase]), Array(24).fill([undefined, 'Succeeded']))
    await must('rollout', 'status', 'sts/three', '--timeout=60s')
    deepStrictEqual(await lines('pods', '-l', 'app=three', '-o', 'jsonpath={.items[*].metadata.name}'), ['three-0', 'three-1', 'three-2'])
    await must('delete', 'job/many', 'sts/three', '--wait')
  })
})
