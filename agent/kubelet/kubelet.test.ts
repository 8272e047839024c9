import assert from 'node:assert/strict'
import { test } from 'node:test'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CONFIG_MAPS, LEASES, NODES, PODS, RUNTIME_CLASSES, SECRETS, type Lease, type Node } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { startTestPlugin } from './devices/testing/plugin.ts'
import { createNodeWorld, pod, startNodeWorld, type NodeWorld } from './testing/node-world.ts'

const state = (w: NodeWorld, name: string, container = 'app') => w.pod(name)?.status?.containerStatuses?.find((c) => c.name === container)

test('a pod whose image is present runs, says so, and is gone soon after its deletion', async (t) => {
  const w = await startNodeWorld(t)
  const { uid } = w.create(pod('web')).metadata
  await w.until('running', () => w.pod('web')?.status?.phase === 'Running')
  const [container] = w.runtime.control.running('app')
  assert.ok(container)
  const { conditions, ...status } = w.pod('web')?.status ?? {}
  assert.deepStrictEqual(conditions?.map((c) => [c.type, c.status]), [['PodReadyToStartContainers', 'True'], ['Initialized', 'True'], ['Ready', 'True'], ['ContainersReady', 'True'], ['PodScheduled', 'True']])
  assert.deepStrictEqual(status, {
    phase: 'Running', observedGeneration: 1, startTime: '2026-01-01T00:00:00Z', qosClass: 'BestEffort', resources: {}, hostIP: '192.168.7.1', hostIPs: [{ ip: '192.168.7.1' }], podIP: '10.42.0.2', podIPs: [{ ip: '10.42.0.2' }],
    containerStatuses: [{
      name: 'app', image: 'docker.io/library/busybox:1', imageID: `docker.io/library/busybox@${container.imageId}`, containerID: `memory://${container.id}`, ready: true, started: true, restartCount: 0, lastState: {},
      state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
    }],
  })
  assert.deepStrictEqual(w.events.filter((e) => e.about !== 'node-1').map((e) => [e.about, e.type, e.reason, e.message]), [
    ['spec.containers{app}', 'Normal', 'Pulled', 'Container image "busybox:1" already present on machine and can be accessed by the pod'],
    ['spec.containers{app}', 'Normal', 'Created', 'Container created'],
    ['spec.containers{app}', 'Normal', 'Started', 'Container started'],
  ])

  w.api.deletePod(PODS, 'default/web')
  await w.until('gone', () => w.pod('web') === undefined, 5_000)
  await w.run(1_000)
  assert.deepStrictEqual({ containers: await w.runtime.listContainers(), sandboxes: await w.runtime.listPodSandbox(), cgroups: [...w.cgroups], known: w.kubelet().podStatusOf(uid) }, { containers: [], sandboxes: [], cgroups: [], known: undefined })
  assert.deepStrictEqual(w.events.at(-1), { about: 'spec.containers{app}', type: 'Normal', reason: 'Killing', message: 'Stopping container app' })
})

test('a crashing container is restarted at once, then after 10 s, then after 20 s, and says CrashLoopBackOff between', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('crash', { containers: [{ name: 'app', image: 'busybox:1', command: ['sh', '-c', 'sleep 1; exit 3'] }] }))
  await w.until('first back-off', () => state(w, 'crash')?.state?.waiting?.reason === 'CrashLoopBackOff')
  const { uid } = w.pod('crash')?.metadata ?? {}
  const waiting = state(w, 'crash')
  assert.deepStrictEqual([waiting?.restartCount, waiting?.state, waiting?.lastState?.terminated?.exitCode, waiting?.lastState?.terminated?.reason, waiting?.ready, waiting?.started, w.pod('crash')?.status?.phase],
    [1, { waiting: { reason: 'CrashLoopBackOff', message: `back-off 10s restarting failed container=app pod=crash_default(${uid})` } }, 3, 'Error', false, false, 'Running'])
  assert.equal(w.events.filter((e) => e.reason === 'BackOff').length, 1)
  assert.equal(w.events.find((e) => e.reason === 'BackOff')?.message, `Back-off restarting failed container app in pod crash_default(${uid})`)
  await w.run(45_000)
  const starts = w.runtime.control.started.length
  const times = await Promise.all((await w.runtime.listContainers()).map(async (c) => (await w.runtime.containerStatus(c.id)).startedAtMs))
  assert.equal(starts, 4)
  assert.ok(times.length <= 2, 'only the newest attempts are kept')
  assert.equal(state(w, 'crash')?.restartCount, 3)
})

test('a crashing container waits no longer than the node lets it, also what an earlier life of the agent gave it to wait', async (t) => {
  const w = await startNodeWorld(t, { config: { restartSecondsMax: 4 } })
  w.create(pod('crash', { containers: [{ name: 'app', image: 'busybox:1', command: ['sh', '-c', 'sleep 1; exit 3'] }] }))
  await w.until('first back-off', () => state(w, 'crash')?.state?.waiting?.reason === 'CrashLoopBackOff')
  const { uid } = w.pod('crash')?.metadata ?? {}
  assert.equal(state(w, 'crash')?.state?.waiting?.message, `back-off 4s restarting failed container=app pod=crash_default(${uid})`)
  const before = w.runtime.control.started.length
  await w.run(20_000)
  assert.equal(w.runtime.control.started.length, before + 4)
})

test('devices of a plugin: counted in the node, given to the container with what belongs to them; a pod for which none is left fails, and says why', async (t) => {
  const w = await startNodeWorld(t)
  const directory = join(w.dir, 'agent', 'device-plugins')
  await w.until('the kubelet listens', () => existsSync(join(directory, 'kubelet.sock')))
  const plugin = await startTestPlugin({
    directory, resource: 'example.com/radio', devices: ['r0'], clock: systemClock, log: silentLog,
    grant: ([id = '']) => ({ envs: { RADIO: id, OWN: 'plugin' }, mounts: [{ containerPath: '/lib/radio', hostPath: '/tmp', readOnly: true }], devices: [{ containerPath: '/dev/radio', hostPath: '/dev/null', permissions: 'r' }], annotations: { radio: id } }),
  })
  t.after(() => plugin.stop())
  await plugin.register()
  const figures = () => { const status = w.api.list<Node>(NODES)[0]?.status; return [status?.capacity?.['example.com/radio'], status?.allocatable?.['example.com/radio']] }
  await w.until('the node tells it', () => figures().join() === '1,1')
  const radio = (name: string) => pod(name, { containers: [{ name: 'app', image: 'busybox:1', env: [{ name: 'OWN', value: 'mine' }], resources: { limits: { 'example.com/radio': '1' } } }] })
  w.create(radio('one'))
  await w.until('running', () => w.pod('one')?.status?.phase === 'Running')
  const [container] = w.runtime.control.running('app')
  assert.ok(container)
  const config = w.runtime.control.configOf(container.id)
  assert.deepStrictEqual([config.devices, config.mounts.find((m) => m.containerPath === '/lib/radio'), config.env.filter((e) => ['RADIO', 'OWN'].includes(e.key)), config.annotations['radio']], [
    [{ containerPath: '/dev/radio', hostPath: '/dev/null', permissions: 'r' }], { containerPath: '/lib/radio', hostPath: '/tmp', readonly: true, propagation: 'private' }, [{ key: 'RADIO', value: 'r0' }, { key: 'OWN', value: 'mine' }], 'r0',
  ])
  w.create(radio('two'))
  await w.until('refused', () => w.pod('two')?.status?.phase === 'Failed')
  const { reason, message } = w.pod('two')?.status ?? {}
  assert.deepStrictEqual([reason, message], ['UnexpectedAdmissionError', 'Pod was rejected: Allocate failed due to requested number of devices unavailable for example.com/radio. Requested: 1, Available: 0, which is unexpected'])
  assert.ok(w.events.some((e) => e.about === 'two' && e.type === 'Warning' && e.reason === 'UnexpectedAdmissionError'))
  w.api.deletePod(PODS, 'default/one')
  await w.until('gone', () => w.pod('one') === undefined)
  w.create(radio('three'))
  await w.until('what it had is the next one\'s', () => w.pod('three')?.status?.phase === 'Running')
  await w.stopAgent()
  await w.startAgent()
  await w.until('the node waits for the plugin', () => figures().join() === '0,0')
  assert.deepStrictEqual([w.pod('three')?.status?.phase, w.runtime.control.running('app').length], ['Running', 1])
})

test('a pod of the API that calls itself static is none: it is told of, and nobody goes for it', async (t) => {
  const w = await startNodeWorld(t, { config: { maxPods: 1 } })
  w.create(pod('first'))
  await w.until('running', () => w.pod('first')?.status?.phase === 'Running')
  const claims = pod('second')
  w.create({ ...claims, metadata: { ...claims.metadata, annotations: { 'kubernetes.io/config.source': 'file' } } })
  await w.until('refused as any other', () => w.pod('second')?.status?.reason === 'OutOfpods')
  w.api.deletePod(PODS, 'default/second')
  w.api.deletePod(PODS, 'default/first')
  await w.until('there is room', () => w.pod('first') === undefined && w.pod('second') === undefined)
  const again = pod('third')
  w.create({ ...again, metadata: { ...again.metadata, annotations: { 'kubernetes.io/config.source': 'file' } } })
  await w.until('it is told of', () => w.pod('third')?.status?.phase === 'Running')
})

test('an image that cannot be pulled is ErrImagePull, then ImagePullBackOff, and runs once it can be', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('pull', { containers: [{ name: 'app', image: 'registry.local/app:2', imagePullPolicy: 'Always' }] }))
  await w.until('ErrImagePull', () => state(w, 'pull')?.state?.waiting?.reason === 'ErrImagePull')
  await w.until('ImagePullBackOff', () => state(w, 'pull')?.state?.waiting?.reason === 'ImagePullBackOff')
  assert.match(state(w, 'pull')?.state?.waiting?.message ?? '', /^Back-off pulling image "registry.local\/app:2": ErrImagePull: .*not found$/)
  w.runtime.control.serve('registry.local/app:2', { pullMs: 1_200, sizeBytes: 4_321 })
  await w.until('running', () => w.pod('pull')?.status?.phase === 'Running')
  const messages = w.events.map((e) => `${e.type} ${e.reason}: ${e.message}`)
  assert.ok(messages.includes('Normal Pulling: Pulling image "registry.local/app:2"'))
  assert.ok(messages.includes('Warning Failed: Error: ErrImagePull'))
  assert.ok(messages.includes('Normal BackOff: Back-off pulling image "registry.local/app:2"'))
  assert.ok(messages.includes('Warning Failed: Error: ImagePullBackOff'))
  assert.ok(messages.includes('Normal Pulled: Successfully pulled image "registry.local/app:2" in 1.2s (1.2s including waiting). Image size: 4321 bytes.'))
})

test('the handler of a pod\'s RuntimeClass is what its sandbox runs by: one that the runtime does not have is told, as is a class that is gone', async (t) => {
  const w = await startNodeWorld(t)
  w.api.put(RUNTIME_CLASSES, { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'vm' }, handler: 'kata' })
  w.create(pod('boxed', { runtimeClassName: 'vm' }))
  w.create(pod('lost', { runtimeClassName: 'none' }))
  const told = (name: string) => w.events.find((e) => e.reason === 'FailedCreatePodSandBox' && e.about === name)?.message
  await w.until('both are told', () => told('boxed') !== undefined && told('lost') !== undefined)
  assert.deepStrictEqual([told('boxed'), told('lost')], ['Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "kata" is configured', 'Failed to create pod sandbox: failed to get runtime handler: runtimeclass.node.k8s.io "none" not found'])
  w.api.put(RUNTIME_CLASSES, { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'vm' }, handler: '' })
  await w.until('running', () => w.pod('boxed')?.status?.phase === 'Running')
})

test('init containers run in order, a sidecar stays and outlives the app at the end', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('init', {
    initContainers: [
      { name: 'one', image: 'busybox:1', command: ['sh', '-c', 'sleep 2'] },
      { name: 'side', image: 'busybox:1', restartPolicy: 'Always' },
      { name: 'two', image: 'busybox:1', command: ['true'] },
    ],
  }))
  await w.until('waiting', () => state(w, 'init')?.state?.waiting !== undefined)
  assert.deepStrictEqual([state(w, 'init')?.state, w.pod('init')?.status?.phase, w.pod('init')?.status?.conditions?.find((c) => c.type === 'Initialized')?.message],
    [{ waiting: { reason: 'PodInitializing' } }, 'Pending', 'containers with incomplete status: [one side two]'])
  await w.until('ready', () => w.pod('init')?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True')
  const order = w.runtime.control.started.map((id) => w.runtime.control.configOf(id).metadata.name)
  assert.deepStrictEqual(order, ['one', 'side', 'two', 'app'])
  assert.deepStrictEqual(w.pod('init')?.status?.initContainerStatuses?.map((s) => [s.name, s.ready, s.started, Object.keys(s.state ?? {})]), [['one', true, false, ['terminated']], ['side', true, true, ['running']], ['two', true, false, ['terminated']]])
  w.events.length = 0
  const ended: string[] = []
  const unsubscribe = w.runtime.events((e) => { if (e.kind === 'containerStopped') ended.push(w.runtime.control.configOf(e.containerId).metadata.name) })
  w.api.deletePod(PODS, 'default/init')
  await w.until('gone', () => w.pod('init') === undefined)
  unsubscribe()
  assert.deepStrictEqual([ended, new Set(w.events.map((e) => e.message))], [['app', 'side'], new Set(['Stopping container app', 'Stopping container side'])])
})

test('a pod that is not to be restarted succeeds or fails by its exit codes and gives up its sandbox and volumes', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('good', { restartPolicy: 'Never', containers: [{ name: 'app', image: 'busybox:1', command: ['true'] }, { name: 'b', image: 'busybox:1', command: ['sleep', '2'] }] }))
  w.create(pod('bad', { restartPolicy: 'Never', containers: [{ name: 'app', image: 'busybox:1', command: ['false'] }], initContainers: [{ name: 'side', image: 'busybox:1', restartPolicy: 'Always' }] }))
  await w.until('both ended', () => w.pod('good')?.status?.phase === 'Succeeded' && w.pod('bad')?.status?.phase === 'Failed')
  const ready = w.pod('good')?.status?.conditions?.find((c) => c.type === 'Ready')
  assert.deepStrictEqual([ready?.status, ready?.reason], ['False', 'PodCompleted'])
  await w.run(5_000)
  assert.deepStrictEqual([(await w.runtime.listPodSandbox({ state: 'ready' })).length, w.runtime.control.running().length, [...w.cgroups]], [0, 0, []])
  assert.equal(w.runtime.control.started.length, 4)
  assert.equal((await w.runtime.listContainers()).length, 4, 'kept for their logs')
  w.api.deletePod(PODS, 'default/good')
  await w.until('gone', () => w.pod('good') === undefined)
})

test('a container that ignores SIGTERM is killed when its grace is over; a second, forced delete does not wait for it', async (t) => {
  const w = await startNodeWorld(t)
  w.runtime.control.addImage('stubborn:1', { program: { onTerm: 'ignore' } })
  w.create(pod('slow', { terminationGracePeriodSeconds: 10, containers: [{ name: 'app', image: 'stubborn:1', imagePullPolicy: 'IfNotPresent' }] }))
  w.create(pod('forced', { terminationGracePeriodSeconds: 600, containers: [{ name: 'app', image: 'stubborn:1', imagePullPolicy: 'IfNotPresent' }] }))
  await w.until('running', () => w.runtime.control.running().length === 2)
  const beganMs = w.clock.nowMs()
  w.api.deletePod(PODS, 'default/slow')
  w.api.deletePod(PODS, 'default/forced')
  await w.until('slow gone', () => w.pod('slow') === undefined, 20_000)
  const tookMs = w.clock.nowMs() - beganMs
  assert.ok(tookMs >= 10_000 && tookMs < 11_500, `took ${tookMs} ms`)
  assert.equal(w.runtime.control.running().length, 1)
  w.api.deletePod(PODS, 'default/forced', 0)
  await w.until('forced stopped', () => w.runtime.control.running().length === 0, 5_000)
  await w.run(2_000)
  assert.deepStrictEqual(await w.runtime.listPodSandbox(), [])
})

test('a missing ConfigMap holds the container back with CreateContainerConfigError until it is there', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('env', { containers: [{ name: 'app', image: 'busybox:1', envFrom: [{ configMapRef: { name: 'later' }, prefix: 'P_' }], env: [{ name: 'B', value: '$(P_a)-$(KUBERNETES_SERVICE_HOST)-$(NO)' }], args: ['serve', '$(B)'] }] }))
  await w.until('refused', () => state(w, 'env')?.state?.waiting?.reason === 'CreateContainerConfigError')
  assert.equal(state(w, 'env')?.state?.waiting?.message, 'configmap "later" not found')
  assert.ok(w.events.some((e) => e.reason === 'Failed' && e.message === 'Error: configmap "later" not found'))
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'later', namespace: 'default' }, data: { a: '1' } })
  await w.until('running', () => w.pod('env')?.status?.phase === 'Running', 3_000)
  const config = w.runtime.control.configOf(w.runtime.control.started[0] ?? '')
  assert.deepStrictEqual(config.args, ['serve', '1-10.43.0.1-$(NO)'])
  assert.equal(config.env.find((e) => e.key === 'KUBERNETES_PORT_443_TCP')?.value, 'tcp://10.43.0.1:443')
})

test('volumes hold what their objects hold, follow their changes and renew tokens at 80% of their life', async (t) => {
  const w = await startNodeWorld(t)
  let tokens = 0
  const asked: unknown[] = []
  w.api.onCreate = (_resource, _sub, object) => {
    asked.push((object as { spec?: unknown }).spec)
    return { ...object, status: { token: `token-${++tokens}`, expirationTimestamp: new Date(w.clock.nowMs() + 600_000).toISOString() } } as never
  }
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' }, data: { a: 'one', 'x.conf': 'x' } })
  w.api.put(SECRETS, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'default' }, data: { key: Buffer.from('secret').toString('base64') } } as never)
  const { uid } = w.create(pod('vols', {
    serviceAccountName: 'builder',
    volumes: [
      { name: 'cm', configMap: { name: 'c', items: [{ key: 'a', path: 'sub/a' }] } },
      { name: 'sec', secret: { secretName: 's', defaultMode: 0o400 } },
      { name: 'tmp', emptyDir: {} },
      { name: 'api', projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 600 } }, { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } }] } },
    ],
    containers: [{ name: 'app', image: 'busybox:1', volumeMounts: [{ name: 'cm', mountPath: '/cm' }, { name: 'sec', mountPath: '/sec' }, { name: 'tmp', mountPath: '/tmp' }, { name: 'api', mountPath: '/api', readOnly: true }] }],
  }, { labels: { app: 'web' } })).metadata
  await w.until('running', () => w.pod('vols')?.status?.phase === 'Running')
  const read = (containerPath: string, file: string) => {
    const mount = w.runtime.control.configOf(w.runtime.control.started[0] ?? '').mounts.find((m) => m.containerPath === containerPath)
    return readFileSync(`${mount?.hostPath ?? ''}/${file}`, 'utf8')
  }
  assert.deepStrictEqual([read('/cm', 'sub/a'), read('/sec', 'key'), read('/api', 'token'), read('/api', 'labels')], ['one', 'secret', 'token-1', 'app="web"'])
  assert.deepStrictEqual(asked[0], { audiences: [], expirationSeconds: 600, boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'vols', uid } })
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' }, data: { a: 'two' } })
  await w.run(1_000)
  assert.equal(read('/cm', 'sub/a'), 'two')
  await w.run(470_000)
  assert.equal(read('/api', 'token'), 'token-1')
  await w.run(20_000)
  assert.equal(read('/api', 'token'), 'token-2')
  w.api.deletePod(PODS, 'default/vols')
  await w.until('gone', () => w.pod('vols') === undefined)
  assert.equal(existsSync(`${w.dir}/agent/pods/${uid}`), false)
})

test('each volume that cannot be made is said with FailedMount and the pod waits; what no container names is not looked at', async (t) => {
  const w = await startNodeWorld(t)
  const app = { name: 'app', image: 'busybox:1', volumeMounts: [{ name: 'n', mountPath: '/n' }, { name: 'cfg', mountPath: '/cfg' }] }
  w.create(pod('iscsi', { containers: [app], volumes: [{ name: 'n', iscsi: { targetPortal: '10.0.0.1', iqn: 'iqn.2001-04.com.example:storage', lun: 0 } }, { name: 'cfg', configMap: { name: 'none' } }, { name: 'unused', secret: { secretName: 'none' } }] }))
  await w.until('FailedMount', () => w.reasons().includes('FailedMount'))
  assert.deepStrictEqual(w.events.filter((e) => e.reason === 'FailedMount').slice(0, 2).map((e) => e.message), [
    'MountVolume.SetUp failed for volume "n" : no volume plugin matched: iscsi volumes are not supported on this node', 'MountVolume.SetUp failed for volume "cfg" : configmap "none" not found',
  ])
  assert.deepStrictEqual(state(w, 'iscsi')?.state, { waiting: { reason: 'ContainerCreating' } })
  w.api.deletePod(PODS, 'default/iscsi')
  await w.until('gone', () => w.pod('iscsi') === undefined)
})

test('a failing liveness probe restarts its container only; the startup probe holds it back until it has succeeded', async (t) => {
  const w = await startNodeWorld(t)
  let alive = true
  let up = false
  w.runtime.control.addImage('probed:1', { program: { exec: (cmd) => ({ exitCode: (cmd[0] === 'live' ? alive : up) ? 0 : 1, stdout: `${cmd[0] ?? ''} says no` }) } })
  w.create(pod('probed', {
    containers: [
      { name: 'app', image: 'probed:1', imagePullPolicy: 'IfNotPresent', startupProbe: { exec: { command: ['up'] }, periodSeconds: 1, failureThreshold: 30 }, livenessProbe: { exec: { command: ['live'] }, periodSeconds: 2, failureThreshold: 2 } },
      { name: 'other', image: 'busybox:1' },
    ],
  }))
  await w.until('running', () => w.pod('probed')?.status?.phase === 'Running')
  alive = false
  await w.run(8_000)
  assert.deepStrictEqual([state(w, 'probed')?.started, state(w, 'probed')?.ready, state(w, 'probed')?.restartCount, state(w, 'probed', 'other')?.ready], [false, false, 0, true])
  alive = true
  up = true
  await w.until('started', () => state(w, 'probed')?.started === true)
  assert.equal(state(w, 'probed')?.ready, true)
  alive = false
  await w.until('restarted', () => state(w, 'probed')?.restartCount === 1)
  alive = true
  assert.deepStrictEqual([state(w, 'probed', 'other')?.restartCount, (await w.runtime.listPodSandbox()).length], [0, 1])
  const messages = w.events.map((e) => `${e.reason}: ${e.message}`)
  assert.ok(messages.includes('Unhealthy: Startup probe failed: up says no'))
  assert.ok(messages.includes('Unhealthy: Liveness probe failed: live says no'))
  assert.ok(messages.includes('Killing: Container app failed liveness probe, will be restarted'))
})

test('pull secrets that are missing are told of together, a container that does not start by its name: each attempt in the same words', async (t) => {
  const w = await startNodeWorld(t)
  w.runtime.control.addImage('broken:1', { program: { startError: 'no such file' } })
  w.create(pod('broken', { imagePullSecrets: [{ name: 'one' }, {}, { name: 'two' }], containers: [{ name: 'app', image: 'broken:1', imagePullPolicy: 'IfNotPresent' }] }))
  await w.until('tried twice', () => (state(w, 'broken')?.restartCount ?? 0) > 0)
  assert.deepStrictEqual([...new Set(w.events.filter((e) => e.type === 'Warning').map((e) => `${e.about} ${e.reason}: ${e.message}`))].slice(0, 2), [
    'broken FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (one, two); attempting to pull the image may not succeed.',
    'spec.containers{app} Failed: Error: failed to start container "app": no such file',
  ])
  assert.equal(new Set(w.events.filter((e) => e.reason === 'Failed').map((e) => e.message)).size, 1)
})

test('a container that is stopped to be started again is, whatever its policy makes of its end', async (t) => {
  const w = await startNodeWorld(t)
  // It ends well when it is told to.
  const program = { onTerm: { afterMs: 10, exitCode: 0 }, exec: () => ({ exitCode: 1 }) }
  for (const image of ['gentle:1', 'gentle:2']) w.runtime.control.addImage(image, { program })
  const container = (image: string) => ({ name: 'app', image, imagePullPolicy: 'IfNotPresent' })
  w.create(pod('probed', { restartPolicy: 'OnFailure', containers: [{ ...container('gentle:1'), livenessProbe: { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 1 } }] }))
  w.create(pod('given-up', { restartPolicy: 'Never', containers: [{ ...container('gentle:1'), livenessProbe: { exec: { command: ['x'] }, periodSeconds: 1, failureThreshold: 1 } }] }))
  w.create(pod('updated', { restartPolicy: 'Never', containers: [container('gentle:1')] }))
  await w.until('it runs, the others were probed', () => w.pod('updated')?.status?.phase === 'Running' && state(w, 'probed')?.restartCount === 1 && w.pod('given-up')?.status?.phase === 'Succeeded')
  const { metadata, spec, status } = w.pod('updated') ?? {}
  w.api.put(PODS, { metadata: { ...metadata, generation: 2 }, spec: { ...spec, containers: [container('gentle:2')] }, status } as never)
  await w.until('it runs the other image', () => state(w, 'updated')?.restartCount === 1 && state(w, 'updated')?.state?.running !== undefined)
  assert.deepStrictEqual([state(w, 'updated')?.image, w.pod('updated')?.status?.phase, w.pod('probed')?.status?.phase], ['docker.io/library/gentle:2', 'Running', 'Running'])
  assert.deepStrictEqual([...new Set(w.events.filter((e) => e.reason === 'Killing').map((e) => e.message))].toSorted(), ['Container app definition changed, will be restarted', 'Container app failed liveness probe', 'Container app failed liveness probe, will be restarted'])
})

test('an ephemeral container that is to look into another says so when there is none', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('debugged', { ephemeralContainers: [{ name: 'debug', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', targetContainerName: 'gone' }, { name: 'other', image: 'busybox:1', imagePullPolicy: 'IfNotPresent', targetContainerName: 'app' }] }))
  const of = (name: string) => w.pod('debugged')?.status?.ephemeralContainerStatuses?.find((s) => s.name === name)?.state
  await w.until('both are told', () => of('debug')?.waiting?.reason === 'CreateContainerConfigError' && of('other')?.running !== undefined)
  assert.equal(of('debug')?.waiting?.message, 'unable to find target container gone')
  assert.ok(w.events.some((e) => e.about === 'spec.ephemeralContainers{debug}' && e.message === 'Error: unable to find target container gone'))
})

test('a preStop hook takes its time out of the grace, a postStart hook holds the status back', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('hooks', { terminationGracePeriodSeconds: 20, containers: [{ name: 'app', image: 'busybox:1', lifecycle: { postStart: { sleep: { seconds: 3 } }, preStop: { sleep: { seconds: 5 } } } }] }))
  await w.until('started in the runtime', () => w.runtime.control.running().length === 1)
  await w.run(1_000)
  assert.deepStrictEqual(state(w, 'hooks')?.state, { waiting: { reason: 'ContainerCreating' } })
  await w.until('running', () => w.pod('hooks')?.status?.phase === 'Running')
  const beganMs = w.clock.nowMs()
  w.api.deletePod(PODS, 'default/hooks')
  await w.until('stopped', () => w.runtime.control.running().length === 0)
  const tookMs = w.clock.nowMs() - beganMs
  assert.ok(tookMs >= 5_000 && tookMs < 6_000, `took ${tookMs} ms`)
})

test('a container whose postStart hook fails has its preStop hook run before it is stopped, and is told of', async (t) => {
  const w = await startNodeWorld(t)
  const asked: string[] = []
  w.runtime.control.addImage('hooked:1', { program: { exec: (cmd) => { asked.push(cmd.join(' ')); return { exitCode: cmd[0] === 'begin' ? 1 : 0 } } } })
  const exec = (command: string) => ({ exec: { command: [command] } })
  w.create(pod('unlucky', { restartPolicy: 'Never', containers: [{ name: 'app', image: 'hooked:1', imagePullPolicy: 'IfNotPresent', lifecycle: { postStart: exec('begin'), preStop: exec('end') } }] }))
  await w.until('ended', () => w.pod('unlucky')?.status?.phase === 'Failed')
  assert.deepStrictEqual(asked, ['begin', 'end'])
  assert.deepStrictEqual(w.events.filter((e) => e.about === 'spec.containers{app}').map((e) => `${e.reason}: ${e.message}`).slice(-2), ['FailedPostStartHook: PostStartHook failed', 'Killing: FailedPostStartHook'])
})

test('preStop hooks of sidecars run beside those of the app, once; the sidecars stay until it has ended', async (t) => {
  const w = await startNodeWorld(t)
  const waits = (seconds: number) => ({ preStop: { sleep: { seconds } } })
  w.create(pod('beside', { terminationGracePeriodSeconds: 30, initContainers: [{ name: 'side', image: 'busybox:1', restartPolicy: 'Always', lifecycle: waits(8) }], containers: [{ name: 'app', image: 'busybox:1', lifecycle: waits(12) }] }))
  await w.until('running', () => w.runtime.control.running().length === 2)
  await w.until('told', () => w.pod('beside')?.status?.phase === 'Running')
  w.events.length = 0
  const beganMs = w.clock.nowMs()
  const ended: [string, number][] = []
  const unsubscribe = w.runtime.events((e) => { if (e.kind === 'containerStopped') ended.push([w.runtime.control.configOf(e.containerId).metadata.name, Math.floor((w.clock.nowMs() - beganMs) / 1000)]) })
  w.api.deletePod(PODS, 'default/beside')
  await w.until('stopped', () => w.runtime.control.running().length === 0)
  unsubscribe()
  assert.deepStrictEqual([ended, w.events.map((e) => e.message).toSorted((x, y) => (x < y ? -1 : 1))], [[['app', 12], ['side', 12]], ['Stopping container app', 'Stopping container side']])
})

test('a name that is too long for the kernel is said, and the pod waits', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('long', { hostname: 'h'.repeat(40), subdomain: 'sub', setHostnameAsFQDN: true }))
  await w.until('told', () => w.reasons().includes('FailedCreatePodSandBox'))
  const fqdn = `${'h'.repeat(40)}.sub.default.svc.cluster.local`
  assert.equal(w.events.find((e) => e.reason === 'FailedCreatePodSandBox')?.message, `Failed to create pod sandbox: failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long (64 characters is the max, ${fqdn.length} characters requested)`)
  assert.deepStrictEqual([w.pod('long')?.status?.phase, await w.runtime.listPodSandbox()], ['Pending', []])
})

test('a pod past its deadline is stopped and Failed with DeadlineExceeded', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('late', { activeDeadlineSeconds: 5 }))
  await w.until('failed', () => w.pod('late')?.status?.phase === 'Failed', 10_000)
  const { reason, message } = w.pod('late')?.status ?? {}
  const words = 'Pod was active on the node longer than the specified deadline'
  assert.deepStrictEqual([reason, message, w.runtime.control.running().length], ['DeadlineExceeded', words, 0])
  assert.deepStrictEqual(w.events.filter((e) => e.reason === 'DeadlineExceeded').map((e) => [e.type, e.message]), [['Normal', words]])
  await w.run(20_000)
  assert.equal(w.runtime.control.started.length, 1)
})

test('a node that is not to register waits for its Node, keeps what it says, and tells its status as often as it should', async (t) => {
  const w = await startNodeWorld(t, { config: { registersNode: false, statusReportMs: 60_000, nodeLabels: { rack: '7' } } })
  const node = () => w.api.get<Node>(NODES, 'node-1')
  await w.run(30_000)
  assert.equal(node(), undefined)
  w.api.put(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1', uid: 'given', labels: { owner: 'me' } } } as never)
  await w.until('ready', () => node()?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True')
  assert.deepStrictEqual([node()?.metadata.uid, node()?.metadata.labels?.['rack'], node()?.metadata.labels?.['owner'], w.api.calls.filter((c) => c === 'create nodes')], ['given', undefined, 'me', []])
  await w.run(5_000)
  const writes = () => w.api.calls.filter((c) => c.startsWith('patch nodes')).length
  const before = writes()
  await w.run(125_000)
  assert.equal(writes() - before, 2)
})

test('the node registers itself, is Ready, renews its lease every 10 s and says why when it is not', async (t) => {
  const w = await startNodeWorld(t)
  const node = () => w.api.get<Node>(NODES, 'node-1')
  const ready = () => node()?.status?.conditions?.find((c) => c.type === 'Ready')
  await w.until('ready', () => ready()?.status === 'True')
  assert.deepStrictEqual([ready()?.reason, ready()?.message, node()?.metadata.labels?.['kubernetes.io/hostname'], node()?.status?.nodeInfo?.containerRuntimeVersion, node()?.status?.capacity?.pods, node()?.status?.allocatable?.memory],
    ['KubeletReady', 'kubelet is posting ready status', 'node-1', 'memory://1.0.0', '110', '3996Mi'])
  const renewed = () => w.api.get<Lease>(LEASES, 'kube-node-lease/node-1')?.spec?.renewTime
  const first = renewed()
  const writes = w.api.calls.filter((c) => c.startsWith('patch nodes')).length
  const renewals = w.api.calls.filter((c) => c === 'update leases').length
  await w.run(100_000)
  assert.notEqual(renewed(), first)
  assert.equal(w.api.calls.filter((c) => c.startsWith('patch nodes')).length, writes, 'an unchanged status is not written again')
  // The fake clock moves on in steps while an answer is under way.
  assert.ok([9, 10].includes(w.api.calls.filter((c) => c === 'update leases').length - renewals))
  // What the node lifecycle controller writes when a node was not heard for long: the node says at its next look that it is there.
  const doubted = node()
  assert.ok(doubted)
  w.api.put(NODES, { ...doubted, status: { ...doubted.status, conditions: doubted.status?.conditions?.map((c) => ({ ...c, status: 'Unknown', reason: 'NodeStatusUnknown' })) ?? [] } })
  await w.until('Ready again', () => ready()?.status === 'True', 15_000)
  assert.equal(ready()?.reason, 'KubeletReady')
  const labelled = node()
  assert.ok(labelled)
  w.api.put(NODES, { ...labelled, metadata: { ...labelled.metadata, labels: { ...labelled.metadata.labels, 'kubernetes.io/os': 'plan9', 'kubernetes.io/hostname': 'elsewhere' } } })
  await w.until('what kind of machine it is is put right, and nothing else', () => node()?.metadata.labels?.['kubernetes.io/os'] === 'linux', 15_000)
  assert.equal(node()?.metadata.labels?.['kubernetes.io/hostname'], 'elsewhere')
  w.runtime.control.ready('NetworkReady', 'no pod CIDR yet')
  await w.until('not ready', () => ready()?.status === 'False', 15_000)
  assert.equal(ready()?.message, 'container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:no pod CIDR yet')
  assert.ok(w.reasons().includes('NodeNotReady'))
})

test('a pod that asks for its own users is not run with the host\'s: it waits, and says why', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('own', { hostUsers: false }))
  await w.until('told', () => w.reasons().includes('FailedCreatePodSandBox'))
  assert.deepStrictEqual([w.events.find((e) => e.reason === 'FailedCreatePodSandBox')?.message, w.pod('own')?.status?.phase, await w.runtime.listPodSandbox()], ['Failed to create pod sandbox: runtime handler "default" does not support user namespaces', 'Pending', []])
})

test('static pods run without the API, are shown in it by mirrors, come back when those are deleted, and end with their files', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'manifests-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const manifest = (command: string) => JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'fixed' }, spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'app', image: 'busybox:1', command: ['sh', '-c', command], imagePullPolicy: 'IfNotPresent' }] } })
  writeFileSync(join(dir, 'fixed.json'), manifest('sleep 1000000'))
  writeFileSync(join(dir, 'broken.yaml'), 'kind: [')
  const w = createNodeWorld({ config: { staticPodPath: dir } })
  t.after(() => w.end())
  w.runtime.control.addImage('busybox:1')
  w.api.down(true)
  await w.startAgent()
  const running = () => w.runtime.control.running('app').map((c) => c.id)
  await w.until('it runs without the API', () => running().length === 1)
  const [first] = running()
  await w.until('the node itself tells how it is', () => w.kubelet().pods()[0]?.status?.phase === 'Running')
  w.api.down(false)
  await w.until('a mirror shows it', () => w.pod('fixed-node-1')?.status?.phase === 'Running', 120_000)
  const mirror = w.pod('fixed-node-1')
  assert.deepStrictEqual([mirror?.metadata.ownerReferences?.map((o) => [o.kind, o.name]), mirror?.metadata.annotations?.['kubernetes.io/config.source'], mirror?.status?.containerStatuses?.[0]?.ready, running()], [[['Node', 'node-1']], 'file', true, [first]])
  await w.stopAgent()
  await w.startAgent()
  await w.run(3_000)
  assert.deepStrictEqual([running(), w.pod('fixed-node-1')?.metadata.uid], [[first], mirror?.metadata.uid], 'a restart of the agent changes nothing')
  w.api.remove(PODS, 'default/fixed-node-1')
  await w.until('it is shown again', () => { const now = w.pod('fixed-node-1'); return now !== undefined && now.metadata.uid !== mirror?.metadata.uid && now.status?.phase === 'Running' })
  assert.deepStrictEqual(running(), [first])
  const again = w.pod('fixed-node-1')?.metadata.uid
  rmSync(join(dir, 'fixed.json'))
  writeFileSync(join(dir, 'fixed.json'), manifest('sleep 1000000'))
  await w.until('a file that was away, however shortly, begins it anew', () => running().length === 1 && running()[0] !== first, 120_000)
  await w.until('and its restart is counted', () => w.pod('fixed-node-1')?.status?.containerStatuses?.[0]?.restartCount === 1, 120_000)
  const [second] = running()
  writeFileSync(join(dir, 'saved'), manifest('sleep 1000000'))
  renameSync(join(dir, 'saved'), join(dir, 'fixed.json'))
  await w.run(30_000)
  assert.deepStrictEqual([running(), w.pod('fixed-node-1')?.metadata.uid], [[second], again], 'the same saved over it changes nothing')
  writeFileSync(join(dir, 'fixed.json'), manifest('sleep 2000000'))
  await w.until('the changed one runs', () => running().length === 1 && running()[0] !== second, 120_000)
  await w.until('and is shown', () => w.pod('fixed-node-1')?.status?.containerStatuses?.[0]?.containerID === `memory://${running()[0]}`, 120_000)
  rmSync(join(dir, 'fixed.json'))
  await w.until('nothing is left of it', () => running().length === 0 && w.pod('fixed-node-1') === undefined, 120_000)
  await w.run(1_000)
  assert.deepStrictEqual([await w.runtime.listPodSandbox(), readdirSync(join(w.dir, 'agent/known-pods'))], [[], []])
})

test('a sub path may name variables of its container, one without a value is told; mounts spread as far as they may', async (t) => {
  const w = await startNodeWorld(t)
  const mounted = (expr: string) => ({
    volumes: [{ name: 'v', emptyDir: {} }],
    containers: [{
      name: 'app', image: 'busybox:1', env: [{ name: 'WHO', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }, { name: 'EMPTY', value: '' }], securityContext: { privileged: true },
      volumeMounts: [{ name: 'v', mountPath: '/own', subPathExpr: expr }, { name: 'v', mountPath: '/in', mountPropagation: 'HostToContainer' as const }, { name: 'v', mountPath: '/both', mountPropagation: 'Bidirectional' as const }],
    }],
  })
  const { uid } = w.create(pod('named', mounted('logs/$(WHO)'))).metadata
  await w.until('it runs', () => w.pod('named')?.status?.phase === 'Running')
  const mounts = w.runtime.control.configOf(w.runtime.control.running('app')[0]?.id ?? '').mounts.filter((m) => ['/own', '/in', '/both'].includes(m.containerPath))
  assert.deepEqual(mounts.map((m) => `${m.containerPath} ${m.propagation}`), ['/own private', '/in hostToContainer', '/both bidirectional'])
  assert.equal(existsSync(join(w.dir, 'agent/pods', uid, 'volumes/kubernetes.io~empty-dir/v/logs/named')), true)
  w.create(pod('nameless', mounted('$(WHO)/$(NOT_THERE)/$(EMPTY)')))
  await w.until('it waits', () => w.pod('nameless')?.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError')
  assert.equal(w.pod('nameless')?.status?.containerStatuses?.[0]?.state?.waiting?.message, 'missing value for EMPTY, NOT_THERE')
})
