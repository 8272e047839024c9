import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog, type Log } from '#base/log.ts'
import { createPluginWatcher, type Plugin, type PluginHandler } from './plugin-watcher.ts'
import { showPlugin, type TestRegistration } from './testing/registration.ts'

/** A watcher of one kind of plugins, `Lamp`, which notes what its handler was asked. */
function world(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'plugins-'))
  const asked: string[] = []
  const failures: string[] = []
  const waiting = new Set<() => void>()
  const happened = () => { for (const look of waiting) look() }
  const note = (what: string, { name, endpoint }: Plugin) => {
    asked.push(`${what} ${name} ${endpoint.replace(`${directory}/`, '')}`)
    happened()
    const failure = failures.shift()
    return failure === undefined ? Promise.resolve() : Promise.reject(new Error(failure))
  }
  const handler: PluginHandler = {
    validate: ({ supportedVersions }) => (supportedVersions.includes('v1') ? undefined : `no v1 among ${supportedVersions.join(', ')}`),
    register: (plugin) => note('register', plugin),
    deregister: (plugin) => note('deregister', plugin),
  }
  const log: Log = { ...silentLog, with: () => log }
  // A second try comes at once.
  const clock = { ...systemClock, after: (ms: number, run: () => void) => systemClock.after(ms === 5_000 ? 1 : ms, run) }
  const stop = new AbortController()
  const watcher = createPluginWatcher({ directory, handlers: new Map([['Lamp', handler]]), clock, log })
  const running = watcher.run(stop.signal)
  const shown: TestRegistration[] = []
  t.after(async () => {
    stop.abort()
    await running
    for (const plugin of shown) await plugin.stop()
    rmSync(directory, { recursive: true, force: true })
  })
  return {
    directory, asked, failures, happened,
    async until(what: string, holds: () => boolean) {
      let cancel = () => {}
      await new Promise<void>((resolve, reject) => {
        const look = () => { if (holds()) resolve() }
        cancel = systemClock.after(20_000, () => reject(new Error(`not within 20 s: ${what}: ${asked.join(', ')}`)))
        waiting.add(look)
        look()
      })
      cancel()
    },
    async show(name: string, more: Partial<{ type: string; endpoint: string; supportedVersions: string[] }> = {}) {
      const plugin = await showPlugin(join(directory, `${name}.sock`), { type: 'Lamp', name, endpoint: '', supportedVersions: ['v1'], ...more }, { clock: systemClock, log: silentLog, onTold: happened })
      shown.push(plugin)
      return plugin
    },
  }
}

test('a plugin that shows its socket is handed to whoever knows its kind, told so, and let go when the socket is gone', async (t) => {
  const w = world(t)
  const here = await w.show('red')
  await w.until('it is told', () => here.told.length === 1)
  const there = await w.show('green', { endpoint: '/run/green.sock' })
  await w.until('the other is told', () => there.told.length === 1)
  assert.deepEqual([here.told, there.told, w.asked], [[''], [''], ['register red red.sock', 'register green /run/green.sock']])
  await here.stop()
  await w.until('it is let go', () => w.asked.length === 3)
  assert.equal(w.asked[2], 'deregister red red.sock')
})

test('one of an unknown kind, or that is not as it must be, is told why, and asked again only when it begins anew', async (t) => {
  const w = world(t)
  const strange = await w.show('strange', { type: 'Oven' })
  const old = await w.show('old', { supportedVersions: ['v0'] })
  await w.until('both are told', () => strange.told.length + old.told.length === 2)
  assert.deepEqual([strange.told, old.told], [
    [`RegisterPlugin error -- no handler registered for plugin type: Oven at socket ${join(w.directory, 'strange.sock')}`], ['RegisterPlugin error -- plugin validation failed with err: no v1 among v0'],
  ])
  await old.stop()
  const renewed = await w.show('old')
  await w.until('the new one is taken', () => renewed.told.length === 1)
  assert.deepEqual([renewed.told, strange.told.length, w.asked], [[''], 1, ['register old old.sock']])
})

test('one that cannot be registered is told so, and tried again; so is one that cannot be let go', async (t) => {
  const w = world(t)
  w.failures.push('the cluster is away')
  const plugin = await w.show('red')
  await w.until('it is told twice', () => plugin.told.length === 2)
  assert.deepEqual(plugin.told, ['RegisterPlugin error -- plugin registration failed with err: the cluster is away', ''])
  w.failures.push('the cluster is away')
  await plugin.stop()
  await w.until('it is let go in the end', () => w.asked.length === 4)
  assert.deepEqual(w.asked.slice(2), ['deregister red red.sock', 'deregister red red.sock'])
})

test('a plugin that begins anew at its socket registers anew', async (t) => {
  const w = world(t)
  const first = await w.show('red')
  await w.until('the first is told', () => first.told.length === 1)
  await first.stop()
  const second = await w.show('red')
  await w.until('the second is told', () => second.told.length === 1)
  assert.deepEqual([w.asked[0], w.asked.at(-1)], ['register red red.sock', 'register red red.sock'])
})

test('one that begins anew at its socket as another one, or as one that is not taken, is let go as what it was', async (t) => {
  const w = world(t)
  // The socket is another before anybody has looked whether it is gone.
  const instead = async (name: string, more: Parameters<typeof w.show>[1]) => {
    const plugin = await showPlugin(join(w.directory, '.next.sock'), { type: 'Lamp', name, endpoint: '', supportedVersions: ['v1'], ...more }, { clock: systemClock, log: silentLog, onTold: w.happened })
    t.after(() => plugin.stop())
    renameSync(join(w.directory, '.next.sock'), join(w.directory, 'red.sock'))
    await w.until('it is told', () => plugin.told.length === 1)
  }
  const first = await w.show('red', { endpoint: '/run/1' })
  await w.until('the first is told', () => first.told.length === 1)
  await instead('red', { endpoint: '/run/2' })
  await instead('blue', { endpoint: '/run/2' })
  await instead('blue', { endpoint: '/run/2' })
  await instead('blue', { endpoint: '/run/2', supportedVersions: ['v0'] })
  assert.deepEqual(w.asked, ['register red /run/1', 'deregister red /run/1', 'register red /run/2', 'deregister red /run/2', 'register blue /run/2', 'register blue /run/2', 'deregister blue /run/2'])
})

test('what is no socket, or hidden, is none of ours', async (t) => {
  const w = world(t)
  writeFileSync(join(w.directory, 'a.sock'), '')
  mkdirSync(join(w.directory, 'b.sock'))
  const hidden = await showPlugin(join(w.directory, '.hidden.sock'), { type: 'Lamp', name: 'hidden', endpoint: '', supportedVersions: ['v1'] }, { clock: systemClock, log: silentLog })
  t.after(() => hidden.stop())
  const plugin = await w.show('red')
  await w.until('the one that is a plugin is told', () => plugin.told.length === 1)
  assert.deepEqual([w.asked, hidden.told], [['register red red.sock'], []])
})
