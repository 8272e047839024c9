/** The device manager with real plugins over gRPC sockets. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync, existsSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Pod, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { silentLog } from '#base/log.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { choose } from './allocation.ts'
import { REGISTER } from './calls.ts'
import { openDeviceManager, type DeviceManager } from './device-manager.ts'
import { deviceStatuses } from './health.ts'
import { createPluginWatcher, type PluginHandler } from '../plugins/plugin-watcher.ts'
import { showPlugin } from '../plugins/testing/registration.ts'
import { createDevicePlugins, isExtendedResource, type DevicePlugins } from './plugins.ts'
import { NO_GRANT, type DeviceSource } from './source.ts'
import { startTestPlugin, type TestPlugin, type TestPluginOptions } from './testing/plugin.ts'

const RADIO = 'example.com/radio'
const podOf = (uid: string, count: number): Stored<Pod> => aPod({ containers: [aContainer('app', { resources: { limits: { [RADIO]: String(count) } } })] }, { uid, name: uid })

interface Node { directory: string; /** Pods whose devices changed their health, as told. */ ill: string[]; manager: DeviceManager; until(what: string, holds: () => boolean): Promise<void>; plugin(more?: Partial<TestPluginOptions>): Promise<TestPlugin>; restart(): Promise<void>; metrics(): MetricFamily[]; handler(): PluginHandler }

async function node(t: TestContext, live: () => ReadonlySet<string> | undefined = () => undefined): Promise<Node> {
  const directory = mkdtempSync(join(tmpdir(), 'devices-'))
  const changes = new Set<() => void>()
  const plugins = new Set<TestPlugin>()
  let stop = new AbortController()
  let running: Promise<void>
  let registered: DevicePlugins
  const begin = async () => {
    stop = new AbortController()
    const manager = await openDeviceManager({ directory, live, onCapacity: () => { for (const tell of changes) tell() }, onHealth: (uids) => { for (const uid of uids) self.ill.push(uid) }, clock: systemClock, log: silentLog })
    registered = createDevicePlugins({ directory, manager, clock: systemClock, log: silentLog })
    running = registered.run(stop.signal)
    await waitFor(() => existsSync(join(directory, 'kubelet.sock')))
    return manager
  }
  const self: Node = {
    directory, ill: [], manager: await begin(), handler: () => registered.handler, metrics: () => [...self.manager.metrics(), ...registered.metrics()],
    async until(what, holds) {
      let cancel = () => {}
      await new Promise<void>((resolve, reject) => {
        const look = () => { if (holds()) resolve() }
        cancel = systemClock.after(10_000, () => reject(new Error(`not within 10 s: ${what}`)))
        changes.add(look)
        look()
      })
      cancel()
    },
    async plugin(more = {}) {
      const plugin = await startTestPlugin({ directory, resource: RADIO, devices: ['a', 'b', 'c'], grant: (ids) => ({ envs: { RADIOS: ids.join(' ') } }), clock: systemClock, log: silentLog, ...more })
      plugins.add(plugin)
      await plugin.register()
      return plugin
    },
    async restart() {
      stop.abort()
      await running
      self.manager = await begin()
    },
  }
  t.after(async () => {
    for (const plugin of plugins) await plugin.stop()
    stop.abort()
    await running
    rmSync(directory, { recursive: true, force: true })
  })
  return self
}

async function waitFor(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 12_000 && !holds(); i++) await systemClock.sleep(5)
  assert.ok(holds())
}

const count = (n: Node) => { const c = n.manager.capacity().get(RADIO); return c && [c.capacity, c.allocatable] }
const ids = (n: Node, uid: string) => n.manager.given(uid)['app']?.[RADIO]

test('a plugin registers, tells its devices and their health; each pod is given its own, once, and they are free again after it', async (t) => {
  const n = await node(t)
  const plugin = await n.plugin()
  await n.until('three devices', () => count(n)?.join() === '3,3')
  await n.manager.allocate(podOf('one', 2))
  await n.manager.allocate(podOf('one', 2))
  assert.deepStrictEqual([plugin.calls, ids(n, 'one')], [['allocate a,b'], ['a', 'b']])
  assert.deepStrictEqual(await n.manager.forContainer(podOf('one', 2), aContainer('app')), { ...NO_GRANT, envs: { RADIOS: 'a b' } })
  await assert.rejects(n.manager.allocate(podOf('two', 2)), { code: 'DEVICES_UNAVAILABLE', message: 'Allocate failed due to requested number of devices unavailable for example.com/radio. Requested: 2, Available: 1, which is unexpected' })
  plugin.tell(['a', '!b', 'c'])
  await n.until('one is ill', () => count(n)?.join() === '3,2')
  await n.manager.release('one')
  await n.manager.allocate(podOf('two', 2))
  assert.deepStrictEqual(ids(n, 'two'), ['a', 'c'])
  // The refused one was never asked of the plugin.
  const counts = n.metrics().flatMap(({ name, samples }) => samples.filter(({ suffix }) => suffix === undefined || suffix === '_count').map(({ labels, value }) => [name, labels, value]))
  assert.deepStrictEqual(counts, [['kubelet_device_plugin_alloc_duration_seconds', { resource_name: RADIO }, 2], ['kubelet_device_plugin_registration_total', { resource_name: RADIO }, 1]])
})

test('a pod is looked at again when its devices fall ill, get well or lose their plugin, and nobody else\'s; how they are is told by container', async (t) => {
  const n = await node(t)
  const plugin = await n.plugin({ numaNodes: { a: [1], b: [0, 1] } })
  await n.until('three devices', () => count(n)?.join() === '3,3')
  await n.manager.allocate(podOf('one', 2))
  await n.manager.allocate(podOf('two', 1))
  const health = () => deviceStatuses(n.manager.given('one'), () => n.manager.devices()).get('app')?.flatMap(({ name, resources }) => [name, ...resources?.map((r) => `${r.resourceID} ${r.health ?? ''}`) ?? []])
  assert.deepStrictEqual([n.ill, health()], [[], [RADIO, 'a Healthy', 'b Healthy']])
  plugin.tell(['a', '!b', 'c'])
  await n.until('b is ill', () => count(n)?.[1] === 2)
  assert.deepStrictEqual([n.ill, health()], [['one'], [RADIO, 'a Healthy', 'b Unhealthy']])
  plugin.tell(['a', 'b', 'c', '!d'])
  await n.until('b is well, d is nobody\'s', () => count(n)?.join() === '4,3')
  assert.deepStrictEqual([n.ill, health()], [['one', 'one'], [RADIO, 'a Healthy', 'b Healthy']])
  assert.deepStrictEqual(n.manager.devices().get(RADIO), [{ id: 'a', healthy: true, numaNodes: [1] }, { id: 'b', healthy: true, numaNodes: [0, 1] }, { id: 'c', healthy: true }, { id: 'd', healthy: false }])
  await plugin.stop()
  await n.until('the plugin is gone', () => count(n)?.[1] === 0)
  assert.deepStrictEqual([n.ill.slice(2).toSorted(), health()], [['one', 'two'], [RADIO, 'a Unhealthy', 'b Unhealthy']])
  await n.restart()
  assert.deepStrictEqual([health(), n.manager.devices().get(RADIO)], [[RADIO, 'a Healthy', 'b Healthy'], []], 'as upstream, until it has come back and says otherwise')
})

test('of many pods at once no two are given the same', async (t) => {
  const n = await node(t)
  await n.plugin({ devices: Array.from({ length: 20 }, (_, i) => `d${i}`) })
  await n.until('twenty devices', () => count(n)?.[1] === 20)
  const pods = Array.from({ length: 11 }, (_, i) => podOf(`p${i}`, 2))
  const results = await Promise.allSettled(pods.map((pod) => n.manager.allocate(pod)))
  const given = pods.flatMap((pod) => ids(n, pod.metadata.uid) ?? [])
  assert.deepStrictEqual([results.filter((r) => r.status === 'fulfilled').length, new Set(given).size], [10, 20])
})

test('the plugin says which it would rather give, and is asked before each start if it wants to; what it refuses is told in its words', async (t) => {
  const n = await node(t)
  const plugin = await n.plugin({ prefers: (available, size) => [...available].toReversed().slice(0, size), wantsPreStart: true })
  await n.until('devices', () => count(n)?.[1] === 3)
  plugin.failNext('allocate', 'no antenna')
  await assert.rejects(n.manager.allocate(podOf('p', 1)), { message: 'Allocate failed due to rpc error: code = Unknown desc = no antenna, which is unexpected' })
  assert.equal(ids(n, 'p'), undefined, 'nothing is kept of it')
  plugin.failNext('prefer', 'no idea')
  await assert.rejects(n.manager.allocate(podOf('p', 1)), { message: 'Allocate failed due to device plugin GetPreferredAllocation rpc failed with err: rpc error: code = Unknown desc = no idea, which is unexpected' })
  await n.manager.forContainer(podOf('p', 1), aContainer('app'))
  await n.manager.forContainer(podOf('p', 1), aContainer('app'))
  assert.deepStrictEqual(plugin.calls, ['prefer a,b,c', 'allocate c', 'prefer a,b,c', 'prefer a,b,c', 'allocate c', 'prestart c', 'prestart c'])
  plugin.failNext('prestart', 'still warm')
  await assert.rejects(n.manager.forContainer(podOf('p', 1), aContainer('app')), { code: 'DEVICES_UNAVAILABLE', message: 'device plugin PreStartContainer rpc failed with err: rpc error: code = Unknown desc = still warm' })
  await plugin.stop()
  await n.until('the plugin is gone', () => count(n)?.[1] === 0)
  await assert.rejects(n.manager.forContainer(podOf('p', 1), aContainer('app')), { message: 'device plugin PreStartContainer rpc failed with err: endpoint example.com/radio has been stopped' })
})

test('after a restart of the agent those who have devices keep them, and nobody is given any until the plugin is back', async (t) => {
  const n = await node(t)
  const plugin = await n.plugin()
  await n.until('devices', () => count(n)?.[1] === 3)
  await n.manager.allocate(podOf('one', 1))
  await n.restart()
  assert.deepStrictEqual([count(n), ids(n, 'one')], [[0, 0], ['a']])
  assert.deepStrictEqual((await n.manager.forContainer(podOf('one', 1), aContainer('app'))).envs, { RADIOS: 'a' })
  await assert.rejects(n.manager.allocate(podOf('two', 1)), { message: 'Allocate failed due to no healthy devices present; cannot allocate unhealthy devices example.com/radio, which is unexpected' })
  assert.equal(existsSync(join(n.directory, 'example.com-radio.sock')), false, 'by this plugins notice that they have to register again')
  await plugin.stop()
  await n.plugin()
  await n.until('devices again', () => count(n)?.[1] === 3)
  await n.manager.allocate(podOf('two', 2))
  assert.deepStrictEqual(ids(n, 'two'), ['b', 'c'])
})

test('devices of pods that are gone are free, once it is known which pods there are', async (t) => {
  const known: { uids?: ReadonlySet<string> } = {}
  const n = await node(t, () => known.uids)
  await n.plugin()
  await n.until('devices', () => count(n)?.[1] === 3)
  await n.manager.allocate(podOf('lost', 2))
  await assert.rejects(n.manager.allocate(podOf('next', 2)))
  known.uids = new Set(['next'])
  await n.manager.allocate(podOf('next', 2))
  assert.deepStrictEqual([ids(n, 'lost'), ids(n, 'next')], [undefined, ['a', 'b']])
})

test('a plugin that goes takes its devices along: at once they cannot be allocated, after five minutes they are not told any more', async (t) => {
  const clock = new FakeClock()
  const directory = mkdtempSync(join(tmpdir(), 'devices-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const manager = await openDeviceManager({ directory, live: () => undefined, onCapacity: () => {}, onHealth: () => {}, clock, log: silentLog })
  const source: DeviceSource = { resource: RADIO, allocate: () => Promise.resolve(NO_GRANT) }
  const told = () => manager.capacity().get(RADIO)
  manager.update(source, [{ id: 'a', healthy: true }])
  manager.gone(source)
  assert.deepStrictEqual(told(), { capacity: 1, allocatable: 0 })
  await clock.advance(299_000)
  const again: DeviceSource = { ...source }
  manager.update(again, [{ id: 'a', healthy: true }, { id: 'b', healthy: true }])
  await clock.advance(10_000)
  manager.gone(source)
  assert.deepStrictEqual(told(), { capacity: 2, allocatable: 2 }, 'an older one that goes is nobody any more')
  manager.gone(again)
  await clock.advance(300_000)
  assert.deepStrictEqual(told(), { capacity: 0, allocatable: 0 })
  assert.equal(manager.manages(RADIO), false)
})

test('devices that are forgotten while somebody has one are refused to others, and his stays', async (t) => {
  const clock = new FakeClock()
  const directory = mkdtempSync(join(tmpdir(), 'devices-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const manager = await openDeviceManager({ directory, live: () => undefined, onCapacity: () => {}, onHealth: () => {}, clock, log: silentLog })
  const source: DeviceSource = { resource: RADIO, allocate: () => Promise.resolve({ ...NO_GRANT, envs: { A: '1' } }) }
  manager.update(source, [{ id: 'a', healthy: true }])
  await manager.allocate(podOf('one', 1))
  manager.gone(source)
  await clock.advance(300_000)
  assert.equal(manager.manages(RADIO), true)
  assert.deepStrictEqual((await manager.forContainer(podOf('one', 1), aContainer('app'))).envs, { A: '1' })
  await assert.rejects(manager.allocate(podOf('two', 1)), { message: 'Allocate failed due to cannot allocate unregistered device example.com/radio, which is unexpected' })
})

test('of what init containers leave only the rest is asked for, and told of where it is not there', () => {
  const wish = { container: 'app', resource: RADIO, count: 3, reuses: ['setup'] }
  const devices = ['a', 'b', 'c'].map((id) => ({ id, healthy: true }))
  assert.deepStrictEqual(choose(wish, { devices, taken: new Set(['c']), reuse: ['a'] }), { ok: false, message: 'requested number of devices unavailable for example.com/radio. Requested: 2, Available: 1' })
  assert.deepStrictEqual(choose(wish, { devices, taken: new Set(), reuse: ['a'] }), { ok: true, must: ['a'], available: ['a', 'b', 'c'] })
  assert.deepStrictEqual(choose(wish, { devices: devices.map((d) => ({ ...d, healthy: false })), taken: new Set(), reuse: ['a'] }), { ok: false, message: 'no healthy devices present; cannot allocate unhealthy devices example.com/radio' })
})

test('a plugin that cannot say what it wants is told so and is not used; one that cannot say what it has leaves a resource of which there is none', async (t) => {
  const n = await node(t)
  const plugin = await startTestPlugin({ directory: n.directory, resource: RADIO, devices: ['a'], grant: () => ({}), clock: systemClock, log: silentLog })
  t.after(() => plugin.stop())
  plugin.failNext('options', 'not today')
  await assert.rejects(plugin.register(), { message: 'failed to get device plugin options: rpc error: code = Unknown desc = not today' })
  assert.deepStrictEqual([count(n), n.manager.manages(RADIO)], [undefined, false])
  plugin.failNext('list', 'nor this')
  await plugin.register()
  await n.until('it is known', () => count(n)?.join() === '0,0')
})

test('a plugin that registers before it serves is waited for', async (t) => {
  const n = await node(t)
  const kubelet = new GrpcClient({ endpoint: { socketPath: join(n.directory, 'kubelet.sock') }, peer: 'the kubelet', clock: systemClock })
  const registering = kubelet.unary(REGISTER, { version: 'v1beta1', endpoint: 'example.com-radio.sock', resourceName: RADIO }, { timeoutMs: 60_000 })
  const plugin = await startTestPlugin({ directory: n.directory, resource: RADIO, devices: ['a'], grant: () => ({}), clock: systemClock, log: silentLog })
  t.after(() => plugin.stop())
  await registering
  kubelet.close()
  await n.until('its device', () => count(n)?.join() === '1,1')
})

test('a plugin that registers anew takes its own place: its devices do not fall ill in between', async (t) => {
  const n = await node(t)
  const plugin = await n.plugin()
  await n.until('three devices', () => count(n)?.join() === '3,3')
  await n.manager.allocate(podOf('one', 1))
  const seen: string[] = []
  const watching = n.until('five devices', () => {
    seen.push(String(count(n)))
    return count(n)?.join() === '5,5'
  })
  plugin.tell(['a', 'b', 'c', 'd', 'e'])
  await plugin.register()
  await watching
  assert.deepStrictEqual([n.ill, seen.filter((s) => !['3,3', '5,5'].includes(s))], [[], []])
  await n.manager.allocate(podOf('two', 4))
})

test('a plugin that shows a socket among the others is as good as one that registers', async (t) => {
  const n = await node(t)
  const registry = mkdtempSync(join(tmpdir(), 'plugins-'))
  t.after(() => rmSync(registry, { recursive: true, force: true }))
  const stop = new AbortController()
  const watching = createPluginWatcher({ directory: registry, handlers: new Map([['DevicePlugin', n.handler()]]), clock: systemClock, log: silentLog }).run(stop.signal)
  const show = (name: string, supportedVersions = ['v1beta1']) => showPlugin(join(registry, `${name.replaceAll('/', '-')}.sock`), { type: 'DevicePlugin', name, endpoint: join(n.directory, 'example.com-radio.sock'), supportedVersions }, { clock: systemClock, log: silentLog, onTold: () => tell() })
  let tell = () => {}
  const plugin = await startTestPlugin({ directory: n.directory, resource: RADIO, devices: ['a', 'b'], grant: () => ({}), clock: systemClock, log: silentLog })
  t.after(() => plugin.stop())
  const shown = await show(RADIO)
  await n.until('its devices are there', () => n.manager.capacity().get(RADIO)?.allocatable === 2)
  await n.manager.allocate(podOf('one', 1))
  const bothTold = new Promise<void>((resolve) => { tell = () => { if (old.told.length + own.told.length === 2) resolve() } })
  const old = await show('example.com/old', ['v1alpha1'])
  const own = await show('cpu')
  await bothTold
  assert.deepStrictEqual([old.told, own.told], [
    ['RegisterPlugin error -- plugin validation failed with err: manager version, v1beta1, is not among plugin supported versions [v1alpha1]'],
    ['RegisterPlugin error -- plugin validation failed with err: invalid name of device plugin socket: the ResourceName "cpu" is invalid'],
  ])
  await shown.stop()
  await n.until('its devices are gone with its socket', () => n.manager.capacity().get(RADIO)?.allocatable === 0)
  stop.abort()
  await watching
  for (const one of [old, own]) await one.stop()
})

test('what several plugins give a container is put together', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'devices-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const manager = await openDeviceManager({ directory, live: () => undefined, onCapacity: () => {}, onHealth: () => {}, clock: systemClock, log: silentLog })
  const source = (resource: string, host: string): DeviceSource => ({ resource, allocate: () => Promise.resolve({ envs: { SAME: resource, [host]: '1' }, mounts: [{ containerPath: '/lib/x', hostPath: host, readOnly: true }], devices: [{ containerPath: '/dev/same', hostPath: host, permissions: 'r' }], annotations: { by: resource }, cdiDevices: ['v/c=same', `v/c=${host.slice(1)}`] }) })
  manager.update(source('example.com/a', '/a'), [{ id: '1', healthy: true }])
  manager.update(source('example.com/b', '/b'), [{ id: '1', healthy: true }])
  const pod = aPod({ containers: [aContainer('app', { resources: { limits: { 'example.com/a': '1', 'example.com/b': '1' } } })] })
  assert.deepStrictEqual(await manager.forContainer(pod, aContainer('app')), {
    envs: { SAME: 'example.com/a', '/a': '1', '/b': '1' }, mounts: [{ containerPath: '/lib/x', hostPath: '/a', readOnly: true }], devices: [{ containerPath: '/dev/same', hostPath: '/a', permissions: 'r' }], annotations: { by: 'example.com/a' }, cdiDevices: ['v/c=same', 'v/c=a', 'v/c=b'],
  })
  assert.deepStrictEqual(await manager.forContainer(pod, aContainer('other')), NO_GRANT)
})

test('registrations that cannot be are refused; a damaged record of what was given is said and passed over', async (t) => {
  const n = await node(t)
  const plugin = await n.plugin()
  const refusal = (more: object) => plugin.register(more).then(() => 'taken', (error: unknown) => (error as Error).message)
  assert.deepStrictEqual([await refusal({ version: 'v1alpha1' }), await refusal({ resourceName: 'cpu' }), await refusal({ endpoint: '../x.sock' })], [
    'requested API version "v1alpha1" is not supported by kubelet. Supported version is ["v1beta1"]', 'the ResourceName "cpu" is invalid', 'the endpoint "../x.sock" is not the name of a socket beside kubelet.sock',
  ])
  assert.deepStrictEqual(['example.com/a', 'kubernetes.io/a', 'x.kubernetes.io/a', 'requests.example.com/a', 'a', 'example.com/a/b', 'example.com/'].map(isExtendedResource), [true, false, false, false, false, false, false])
  await n.until('devices', () => count(n)?.[1] === 3)
  await n.manager.allocate(podOf('one', 1))
  assert.equal(statSync(join(n.directory, 'skiff_checkpoint')).mode & 0o777, 0o600)
  for (const text of ['{"pods"', 'null', '[]', '{"pods":3}', '{"pods":null,"resources":null}', '{"pods":[],"resources":{}}']) {
    writeFileSync(join(n.directory, 'skiff_checkpoint'), text)
    await n.restart()
    assert.deepStrictEqual(n.manager.given('one'), {})
  }
})
