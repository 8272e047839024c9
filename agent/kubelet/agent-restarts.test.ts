import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CONFIG_MAPS, PODS } from '#api/types/index.ts'
import { createNodeWorld, pod, startNodeWorld, type NodeWorld } from './testing/node-world.ts'

const state = (w: NodeWorld, name: string, container = 'app') => w.pod(name)?.status?.containerStatuses?.find((c) => c.name === container)

test('killing and restarting the agent starts nothing again and changes no status', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('stay', { containers: [{ name: 'app', image: 'busybox:1', readinessProbe: { exec: { command: ['true'] }, periodSeconds: 5 } }] }))
  await w.until('ready', () => state(w, 'stay')?.ready === true)
  const before = w.pod('stay')?.status
  await w.stopAgent()
  assert.equal(w.runtime.control.running().length, 1)
  const patches = w.api.patches.length
  await w.startAgent()
  await w.run(30_000)
  assert.deepStrictEqual(w.pod('stay')?.status, before)
  assert.deepStrictEqual(w.api.patches.slice(patches).filter((p) => p.path.startsWith('pods/')), [])
  assert.equal(w.runtime.control.started.length, 1)
})

test('what was told of a static pod holds through a restart, too, though its mirror is known only once the server is reached', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'manifests-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const probe = { exec: { command: ['true'] }, periodSeconds: 60, timeoutSeconds: 3_600 }
  writeFileSync(join(dir, 'fixed.json'), JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'fixed' }, spec: { containers: [{ name: 'app', image: 'probed:1', imagePullPolicy: 'IfNotPresent', startupProbe: probe, readinessProbe: { ...probe, failureThreshold: 5 } }] } }))
  const w = createNodeWorld({ config: { staticPodPath: dir } })
  t.after(() => w.end())
  let answers = true
  w.runtime.control.addImage('probed:1', { program: { exec: () => ({ exitCode: 0, ...(!answers && { takesMs: 3_600_000 }) }) } })
  await w.startAgent()
  await w.until('a mirror tells that it is ready', () => state(w, 'fixed-node-1')?.ready === true, 200_000)
  const before = w.pod('fixed-node-1')?.status
  await w.stopAgent()
  w.api.down(true)
  // Nothing is found out about it before its mirror is.
  answers = false
  await w.startAgent()
  await w.run(2_000)
  w.api.down(false)
  const patches = w.api.patches.length
  await w.run(40_000)
  assert.deepStrictEqual([w.pod('fixed-node-1')?.status, w.api.patches.slice(patches).filter((p) => p.path.startsWith('pods/'))], [before, []])
})

test('without the server an agent that restarts knows its pods, restarts what fails and catches up later', async (t) => {
  const w = await startNodeWorld(t)
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' }, data: { a: '1' } })
  w.create(pod('off', { containers: [{ name: 'app', image: 'busybox:1', env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'c', key: 'a' } } }] }] }))
  await w.until('running', () => w.pod('off')?.status?.phase === 'Running')
  await w.run(11_000)
  w.api.down(true)
  await w.stopAgent()
  await w.startAgent()
  await w.run(2_000)
  w.runtime.control.exit(w.runtime.control.running()[0]?.id ?? '', 1)
  await w.until('restarted', () => w.runtime.control.started.length === 2)
  assert.equal(w.runtime.control.configOf(w.runtime.control.started[1] ?? '').env.find((e) => e.key === 'A')?.value, '1')
  assert.equal(state(w, 'off')?.restartCount, 0)
  w.api.down(false)
  await w.until('caught up', () => state(w, 'off')?.restartCount === 1, 120_000)
})

test('after a reboot without the server pods start with the token, ConfigMap and Services of before, and catch up later', async (t) => {
  const w = await startNodeWorld(t)
  let tokens = 0
  w.api.onCreate = (_resource, _sub, object) => ({ ...object, status: { token: `token-${++tokens}`, expirationTimestamp: new Date(w.clock.nowMs() + 3_600_000).toISOString() } }) as never
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' }, data: { a: '1' } })
  w.create(pod('off', { volumes: [{ name: 'api', projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { configMap: { name: 'c' } }] } }], containers: [{ name: 'app', image: 'busybox:1', volumeMounts: [{ name: 'api', mountPath: '/api' }] }] }))
  await w.until('running', () => w.pod('off')?.status?.phase === 'Running')
  await w.run(11_000)
  w.api.down(true)
  await w.stopAgent()
  w.runtime.control.reboot()
  const dir = w.runtime.control.configOf(w.runtime.control.started[0] ?? '').mounts.find((m) => m.containerPath === '/api')?.hostPath ?? ''
  rmSync(dir, { recursive: true }) // A tmpfs does not survive a reboot.
  await w.startAgent()
  await w.until('started again', () => w.runtime.control.started.length === 2)
  assert.deepStrictEqual([readFileSync(`${dir}/token`, 'utf8'), readFileSync(`${dir}/a`, 'utf8')], ['token-1', '1'])
  for (const file of readdirSync(`${w.dir}/agent/known-objects`)) assert.ok(!readFileSync(`${w.dir}/agent/known-objects/${file}`).includes('ConfigMap'), 'copies are encrypted')
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' }, data: { a: '2' } })
  w.api.down(false)
  await w.until('caught up', () => readFileSync(`${dir}/token`, 'utf8') === 'token-2' && readFileSync(`${dir}/a`, 'utf8') === '2', 120_000)
})

test('pods deleted while the agent was away are cleared away, also those it never knew', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('gone'))
  await w.until('running', () => w.pod('gone')?.status?.phase === 'Running')
  await w.stopAgent()
  w.api.remove(PODS, 'default/gone')
  const image = w.runtime.control.addImage('other:1')
  const config = { metadata: { name: 'lost', uid: 'lost-uid', namespace: 'x', attempt: 0 }, hostname: 'lost', logDirectory: `${w.dir}/logs/lost`, portMappings: [], labels: {}, annotations: {}, linux: { cgroupParent: '/k', sysctls: {}, namespaces: { network: 'pod', pid: 'container', ipc: 'pod' } } } as const
  const sandbox = await w.runtime.runPodSandbox({ ...config, portMappings: [] })
  const id = await w.runtime.createContainer(sandbox, { metadata: { name: 'c', attempt: 0 }, image: image.id, command: [], args: [], workingDir: '', env: [], mounts: [], devices: [], labels: {}, annotations: {}, logPath: 'c/0.log', stdin: false, stdinOnce: false, tty: false, linux: { resources: {}, namespaces: config.linux.namespaces, security: { privileged: false, readonlyRootfs: false, supplementalGroups: [], addCapabilities: [], dropCapabilities: [], noNewPrivs: false, seccomp: { profile: 'Unconfined' } } } }, { ...config, portMappings: [] })
  await w.runtime.startContainer(id)
  await w.startAgent()
  await w.run(10_000)
  assert.deepStrictEqual([await w.runtime.listContainers(), await w.runtime.listPodSandbox(), [...w.cgroups]], [[], [], []])
})

test('after a reboot each pod gets a new sandbox and its containers count a restart', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('boot', { initContainers: [{ name: 'prep', image: 'busybox:1', command: ['true'] }] }))
  await w.until('running', () => w.pod('boot')?.status?.phase === 'Running')
  await w.stopAgent()
  w.runtime.control.reboot()
  await w.startAgent()
  await w.until('running again', () => state(w, 'boot')?.restartCount === 1 && state(w, 'boot')?.ready === true)
  assert.deepStrictEqual(w.runtime.control.started.map((id) => w.runtime.control.configOf(id).metadata.name), ['prep', 'app', 'prep', 'app'])
  assert.ok(w.events.some((e) => e.reason === 'SandboxChanged'))
  assert.equal(w.pod('boot')?.status?.podIP, '10.42.0.3')
})
