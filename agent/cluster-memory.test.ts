/** A node that starts while its server is away knows the Services and peers it knew before; its parts come back together. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createConnectivity } from '#api/client/connectivity.ts'
import { createInformers } from '#api/client/informer.ts'
import { NODES, PODS, SERVICES, type Node, type Service } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createClusterMemory } from './cluster-memory.ts'
import { createApiMemory } from './kubelet/testing/api-memory.ts'

function world(t: TestContext) {
  const clock = new FakeClock()
  const api = createApiMemory()
  const dir = mkdtempSync(join(tmpdir(), 'memory-'))
  const lines: string[] = []
  const log = createLog({ format: 'text', level: 'warn', nowMs: () => 0, write: (line) => { lines.push(line) } })
  const lives: { stop(): Promise<void> }[] = []
  t.after(async () => {
    // A write that is under way would make its file anew.
    for (const life of lives) await life.stop()
    rmSync(dir, { recursive: true })
  })
  const run = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 500) await clock.advance(500)
  }
  /** Files are real and take real time, during which the fake clock stands still. */
  const eventually = async (what: string, holds: () => boolean) => {
    const giveUp = AbortSignal.timeout(60_000)
    while (!holds()) {
      if (giveUp.aborted) assert.fail(`not reached: ${what}`)
      await clock.advance(0)
      await new Promise((resolve) => { setImmediate(resolve) })
    }
  }
  /** One life of an agent. */
  const start = (profile?: 'normal' | 'gentle') => {
    const end = new AbortController()
    const memory = createClusterMemory(dir, 'own', { clock, log, ...(profile && { profile }) })
    const connectivity = createConnectivity(clock)
    const informers = createInformers(api.client, { clock, random: seededRandom(1), log, connectivity, memoryOf: memory.of })
    const services = informers.of<Service>(SERVICES)
    const nodes = informers.of<Node>(NODES)
    const pods = informers.of(PODS, { fieldSelector: 'spec.nodeName=own' })
    void informers.start(end.signal)
    const life = { services, nodes, pods, connectivity, async stop() { end.abort(); await memory.close() } }
    lives.push(life)
    return life
  }
  return { clock, api, dir, lines, run, eventually, start }
}

const service = (name: string, ip: string): Service => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { clusterIP: ip } })
const node = (name: string, heartbeat: string): Node => ({
  apiVersion: 'v1', kind: 'Node', metadata: { name, annotations: { note: 'not for peers' } }, spec: { podCIDR: '10.42.1.0/24' },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }], conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: heartbeat as never }] },
})

test('after two seconds without a server a start goes on with what was known, and with the truth once that is there', async (t) => {
  const w = world(t)
  w.api.put(SERVICES, service('a', '10.43.0.1'))
  w.api.put(NODES, node('own', '1'))
  w.api.put(NODES, node('peer', '1'))
  const first = w.start()
  await w.run(500)
  await first.stop()
  assert.deepStrictEqual([readdirSync(w.dir).toSorted(), statSync(join(w.dir, 'services.json')).mode & 0o777], [['nodes.json', 'services.json'], 0o600])
  w.api.down(true)
  const second = w.start()
  await w.run(1_500)
  assert.deepStrictEqual([second.services.hasSynced(), second.services.list()], [false, []])
  await w.run(1_000)
  await w.eventually('the memory is read', () => second.services.hasSynced() && second.nodes.hasSynced())
  assert.deepStrictEqual([second.services.hasSynced(), second.services.list().map((s) => [s.metadata.name, s.spec?.clusterIP]), second.nodes.list().map((n) => [n.metadata.name, n.metadata.annotations, n.spec?.podCIDR, n.status?.conditions]), second.pods.hasSynced()],
    [true, [['a', '10.43.0.1']], [['peer', undefined, '10.42.1.0/24', undefined]], false])
  w.api.put(SERVICES, service('b', '10.43.0.2'))
  w.api.remove(SERVICES, 'default/a')
  w.api.down(false)
  await w.run(60_000)
  assert.deepStrictEqual([second.services.list().map((s) => s.metadata.name), second.nodes.list().map((n) => n.metadata.name).toSorted(), second.pods.hasSynced()], [['b'], ['own', 'peer'], true])
})

for (const profile of ['normal', 'gentle'] as const) {
  test(`what a node learns first is kept at once: cut off from power and server right after, it starts its pods again (${profile})`, async (t) => {
    const w = world(t)
    w.api.put(SERVICES, service('a', '10.43.0.1'))
    w.start(profile)
    const kept = () => existsSync(join(w.dir, 'services.json'))
    await w.eventually('it is written though no time has passed', kept)
  })
}

test('a change is written within seconds, many of them once a minute on average, a heartbeat never', async (t) => {
  const w = world(t)
  const agent = w.start()
  const written = () => (existsSync(join(w.dir, 'services.json')) ? (JSON.parse(readFileSync(join(w.dir, 'services.json'), 'utf8')) as { items: Service[] }).items.length : -1)
  await w.run(500)
  w.api.put(SERVICES, service('a', '10.43.0.1'))
  await w.run(6_000)
  await w.eventually('the first change is on disk', () => written() === 1)
  for (let i = 1; i <= 4; i++) {
    w.api.put(SERVICES, service(`a${i}`, `10.43.0.${i}`))
    await w.run(6_000)
    await w.eventually('a change now and then is on disk', () => written() === 1 + i)
  }
  for (let i = 0; i < 20; i++) {
    w.api.put(SERVICES, service(`s${i}`, `10.43.1.${i}`))
    await w.run(1_000)
  }
  assert.equal(written(), 5)
  await w.run(5 * 60_000)
  await w.eventually('the burst is on disk', () => written() === 25)
  w.api.put(NODES, node('peer', '1'))
  await w.run(70_000)
  await w.eventually('the node is on disk', () => readFileSync(join(w.dir, 'nodes.json'), 'utf8').includes('peer'))
  const before = statSync(join(w.dir, 'nodes.json')).ino
  w.api.put(NODES, { ...w.api.get<Node>(NODES, 'peer') as Node, status: node('peer', '2').status ?? {} })
  await w.run(130_000)
  await agent.stop()
  assert.equal(statSync(join(w.dir, 'nodes.json')).ino, before)
})

test('with the profile gentle a change is written within a minute, many of them four times an hour', async (t) => {
  const w = world(t)
  const agent = w.start('gentle')
  const file = () => readFileSync(join(w.dir, 'services.json'), 'utf8')
  await w.eventually('what it begins with is on disk', () => existsSync(join(w.dir, 'services.json')))
  w.api.put(SERVICES, service('first', '10.43.0.1'))
  await w.run(50_000)
  assert.doesNotMatch(file(), /first/)
  await w.run(20_000)
  await w.eventually('the first change is on disk', () => file().includes('first'))
  let writes = 1
  for (let i = 0, before = file(); i < 120; i++) {
    w.api.put(SERVICES, service(`s${i}`, `10.43.1.${i}`))
    await w.run(60_000)
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => { setImmediate(resolve) })
    const now = file()
    if (now !== before) writes++
    before = now
  }
  // The quick ones, and one every 15 minutes.
  assert.ok(writes >= 5 && writes <= 5 + 2 * 4 + 1, `${writes} writes in two hours`)
  await agent.stop()
  assert.match(file(), /s119/)
})

test('a damaged file is told once and costs nothing but itself', async (t) => {
  const w = world(t)
  w.api.put(SERVICES, service('a', '10.43.0.1'))
  const first = w.start()
  await w.run(500)
  await first.stop()
  writeFileSync(join(w.dir, 'services.json'), '{"items":[{"metadata":')
  w.api.down(true)
  const second = w.start()
  await w.run(3_000)
  await w.eventually('the file is told', () => w.lines.some((l) => l.includes('services.json')))
  await w.eventually('the other file is read', () => second.nodes.hasSynced())
  assert.equal(second.services.hasSynced(), false)
  assert.equal(w.lines.filter((l) => l.includes('what was known of the cluster cannot be read and is ignored') && l.includes('services.json')).length, 1)
})

test('after a long absence the first part that reaches the server wakes all others', async (t) => {
  const w = world(t)
  w.api.down(true)
  const agent = w.start()
  await w.run(600_000)
  w.api.down(false)
  agent.connectivity.back()
  await w.run(1_000)
  assert.deepStrictEqual([agent.services.hasSynced(), agent.nodes.hasSynced(), agent.pods.hasSynced()], [true, true, true])
})
