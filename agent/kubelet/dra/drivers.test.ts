/** Drivers that register and are called, over real sockets. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { ApiError } from '#api/client/client.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom, systemRandom } from '#base/random.ts'
import { createPluginWatcher } from '../plugins/plugin-watcher.ts'
import { metricsText } from '../stats/metrics-text.ts'
import { createDraDrivers } from './drivers.ts'
import { createSliceWipes } from './slices.ts'
import { startTestDriver, type TestDriver, type TestDriverOptions } from './testing/driver.ts'

const LAMPS = 'lamps.example.com'
const CLAIM = { namespace: 'default', name: 'lamp', uid: 'c1' }
const NO_SLICES = { list: () => Promise.resolve({ items: [], metadata: { resourceVersion: '1' } }), raw: () => Promise.resolve({}) }

async function node(t: TestContext) {
  const rootDir = mkdtempSync(join(tmpdir(), 'dra-'))
  const stop = new AbortController()
  const looks = new Set<() => void>()
  const happened = () => { for (const look of looks) look() }
  const drivers = createDraDrivers({ nodeName: 'board', client: NO_SLICES, clock: systemClock, random: systemRandom, log: silentLog })
  const healths: [string, string[] | undefined][] = []
  drivers.onChange(happened)
  drivers.onHealth((driver, devices) => {
    healths.push([driver, devices?.map(({ device, health }) => `${device?.deviceName ?? ''} ${health}`)])
    happened()
  })
  const watcher = createPluginWatcher({ directory: join(rootDir, 'plugins_registry'), handlers: new Map([['DRAPlugin', drivers.handler]]), clock: systemClock, log: silentLog })
  const running = Promise.all([drivers.run(stop.signal), watcher.run(stop.signal)])
  const started: TestDriver[] = []
  t.after(async () => {
    stop.abort()
    await running
    for (const driver of started) await driver.stop()
    rmSync(rootDir, { recursive: true, force: true })
  })
  const isRegistered = () => {
    try {
      drivers.get(LAMPS)
      return true
    } catch {
      return false
    }
  }
  return {
    drivers, healths, isRegistered,
    async until(what: string, holds: () => boolean) {
      let cancel = () => {}
      await new Promise<void>((resolve, reject) => {
        const look = () => { if (holds()) resolve() }
        cancel = systemClock.after(30_000, () => reject(new Error(`not within 30 s: ${what}`)))
        looks.add(look)
        look()
      })
      cancel()
    },
    async start(more: Partial<TestDriverOptions> = {}) {
      const driver = await startTestDriver({ rootDir, driver: LAMPS, devices: (claim) => [{ device: 'red', requests: ['r'], cdi: [`example.com/lamp=${claim}`], share: 's' }], onCall: happened, clock: systemClock, log: silentLog, ...more })
      started.push(driver)
      return driver
    },
  }
}

test('a driver registers and is called by the service that it names first', async (t) => {
  const n = await node(t)
  assert.throws(() => n.drivers.get(LAMPS), { message: 'DRA driver lamps.example.com is not registered' })
  const driver = await n.start()
  await n.until('it is told', () => driver.told.length === 1)
  assert.deepEqual(driver.told, [''])
  const devices = [{ requestNames: ['r'], poolName: 'pool', deviceName: 'red', cdiDeviceIds: ['example.com/lamp=lamp'], shareId: 's' }]
  assert.deepEqual(await n.drivers.get(LAMPS).prepare([CLAIM]), new Map([['c1', { devices, error: '' }]]))
  assert.deepEqual(await n.drivers.get(LAMPS).unprepare([CLAIM]), new Map([['c1', { error: '' }]]))
  assert.deepEqual(driver.calls, ['prepare default/lamp c1', 'unprepare default/lamp c1'])
  const text = metricsText(n.drivers.metrics())
  for (const method of ['NodePrepareResources', 'NodeUnprepareResources']) assert.ok(text.includes(`dra_grpc_operations_duration_seconds_count{driver_name="lamps.example.com",grpc_status_code="OK",method_name="/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/${method}"} 1`), text)
})

test('one that has the older service alone is called by it', async (t) => {
  const n = await node(t)
  const driver = await n.start({ services: ['v1beta1.DRAPlugin'] })
  await n.until('it is told', () => driver.told.length === 1)
  assert.equal((await n.drivers.get(LAMPS).prepare([CLAIM])).get('c1')?.devices[0]?.deviceName, 'red')
})

test('one without a service that is known is told so, and is not there', async (t) => {
  const n = await node(t)
  const driver = await n.start({ supportedVersions: [] })
  await n.until('it is told', () => driver.told.length === 1)
  assert.deepEqual(driver.told, [`RegisterPlugin error -- plugin validation failed with err: invalid supported gRPC versions of DRA driver plugin lamps.example.com at endpoint ${driver.endpoint}: empty list of supported gRPC services (aka supported versions)`])
  assert.equal(n.isRegistered(), false)
})

test('what a driver refuses is told as grpc-go tells it', async (t) => {
  const n = await node(t)
  const driver = await n.start()
  await n.until('it is told', () => driver.told.length === 1)
  driver.failNext('prepare', { call: 'out of lamps' })
  await assert.rejects(n.drivers.get(LAMPS).prepare([CLAIM]), { message: 'rpc error: code = Unknown desc = out of lamps' })
  driver.failNext('prepare', { claim: 'no such lamp' })
  assert.deepEqual((await n.drivers.get(LAMPS).prepare([CLAIM])).get('c1'), { devices: [], error: 'no such lamp' })
})

test('while a driver is renewed its latest plugin is called; the one before is once more when that goes', async (t) => {
  const n = await node(t)
  const [old, young] = [await n.start({ instance: 'old' }), await n.start({ instance: 'young' })]
  await n.until('both are told', () => old.told.length + young.told.length === 2)
  await n.drivers.get(LAMPS).prepare([CLAIM])
  const [first, second] = old.calls.length === 1 ? [old, young] : [young, old]
  await first.stop()
  for (let done = false; !done;) done = await n.drivers.get(LAMPS).unprepare([CLAIM]).then(() => true, () => false)
  assert.deepEqual([first.calls, second.calls], [['prepare default/lamp c1'], ['unprepare default/lamp c1']])
})

test('no plugin takes the socket of another of its driver', async (t) => {
  const n = await node(t)
  const { handler } = n.drivers
  const plugin = { name: LAMPS, endpoint: '/nowhere/a.sock', registeredAt: '/registry/a.sock', supportedVersions: ['v1.DRAPlugin'] }
  const { signal } = new AbortController()
  await handler.register(plugin, signal)
  await handler.register(plugin, signal)
  await assert.rejects(handler.register({ ...plugin, registeredAt: '/registry/b.sock' }, signal), { message: 'endpoint /nowhere/a.sock already registered for DRA driver plugin lamps.example.com' })
  await handler.deregister(plugin, signal)
  assert.equal(n.isRegistered(), false)
})

test('one that stopped serving and serves again is found without being called, and tells of its devices anew', async (t) => {
  const n = await node(t)
  const driver = await n.start({ tellsHealth: true })
  await n.until('it is watched', () => driver.watchers() === 1)
  driver.tellHealth([{ pool: 'pool', device: 'red', health: 'Unhealthy' }])
  await n.until('it was heard', () => n.healths.at(-1)?.[1]?.[0] === 'red 2')
  await driver.pause()
  await n.until('it is known to be away', () => n.healths.at(-1)?.[1] === undefined)
  await driver.resume()
  await n.until('it is watched again', () => n.healths.at(-1)?.[1]?.[0] === 'red 2')
})

function slices(drivers: readonly string[]) {
  const clock = new FakeClock()
  const usable = new Set<string>()
  const asked: string[] = []
  const failures: Error[] = []
  const client = {
    list: (_: unknown, params: unknown) => {
      asked.push(`list ${(params as { fieldSelector: string }).fieldSelector}`)
      const failure = failures.shift()
      return failure ? Promise.reject(failure) : Promise.resolve({ items: drivers.map((driver) => ({ spec: { driver } })), metadata: { resourceVersion: '1' } })
    },
    raw(method: string, path: string) {
      asked.push(`${method} ${decodeURIComponent(path)}`)
      const failure = failures.shift()
      return failure ? Promise.reject(failure) : Promise.resolve({})
    },
  }
  const wipes = createSliceWipes({ nodeName: 'board', client: client as never, isUsable: (driver) => usable.has(driver), clock, random: seededRandom(1), log: silentLog })
  const stop = new AbortController()
  return { clock, usable, asked, failures, wipes, stop, deleted: (driver: string) => `DELETE /apis/resource.k8s.io/v1/resourceslices?fieldSelector=spec.nodeName=board,spec.driver=${driver}` }
}

test('at the start the slices of this node are deleted whose drivers have not registered; until it succeeds', async () => {
  const s = slices(['here', 'away', 'away'])
  s.usable.add('here')
  s.failures.push(new Error('the server is away'))
  const running = s.wipes.run(s.stop.signal)
  await s.clock.advance(0)
  assert.deepEqual(s.asked, ['list spec.nodeName=board'])
  await s.clock.advance(1_000)
  await running
  assert.deepEqual(s.asked.slice(1), ['list spec.nodeName=board', s.deleted('away')])
})

test('a driver that cannot be reached has half a minute to come back before its slices are deleted', async () => {
  const s = slices([])
  await s.wipes.run(s.stop.signal)
  s.asked.length = 0
  s.wipes.follow('back')
  s.wipes.follow('gone')
  await s.clock.advance(29_000)
  s.usable.add('back')
  s.wipes.follow('back')
  // Not begun anew by another change.
  s.wipes.follow('gone')
  assert.deepEqual(s.asked, [])
  s.failures.push(new Error('the server is away'), new ApiError({ code: 404, reason: 'NotFound', message: 'no such resource' }))
  await s.clock.advance(1_000)
  assert.deepEqual(s.asked, [s.deleted('gone')])
  await s.clock.advance(60_000)
  assert.deepEqual(s.asked, [s.deleted('gone'), s.deleted('gone')])
  s.wipes.follow('gone')
  s.stop.abort()
  await s.clock.advance(60_000)
  assert.equal(s.asked.length, 2)
})
