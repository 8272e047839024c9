/** Restoring: what is refused before anything is touched, and that a kill anywhere leaves the old or the new. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import { levelOpener } from '../store/open-level.ts'
import { openAlone } from '../replication/machine/alone.test-support.ts'
import { openNewState } from '../replication/machine/new-state.ts'
import { finishRestore, restoreSnapshot, type RestoreOptions } from './restore.ts'
import { SECRET, snapshotBytes } from './snapshot.test-support.ts'

const openStore = (directory: string) => openNewState(levelOpener(directory))

interface World { dataDir: string; file: string; options: RestoreOptions }

async function withWorld(run: (world: World) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-restore-'))
  const [dataDir, file] = [join(directory, 'data'), join(directory, 'snapshot')]
  writeFileSync(file, await snapshotBytes({ '/a': 'new', '/b': 'new' }))
  try {
    await run({ dataDir, file, options: { dataDir, file, secret: SECRET, caHash: undefined, force: false, clock: systemClock, openStore, lockStore: async () => async () => { /* nobody runs */ } } })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A data directory as a server leaves it. */
async function old(dataDir: string): Promise<void> {
  const files = { 'server/tls/server-ca.key': 'old key', 'server/tls/serving.crt': 'old leaf', 'server/cred/encryption-config.json': 'old', 'server/token': 'old token', 'server/agent-token': 'old agent token', 'server/manifests/mine.yaml': 'mine', 'agent/node-password': 'old password' }
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dataDir, path)), { recursive: true })
    writeFileSync(join(dataDir, path), content)
  }
  const store = await openAlone(join(dataDir, 'server', 'db'))
  await store.txn({ compare: [], ops: [{ kind: 'put', key: '/a', value: Buffer.from('old') }] })
  await store.close()
}

async function stateOf(dataDir: string) {
  const store = await openAlone(join(dataDir, 'server', 'db'))
  const { items, revision } = await store.list({ prefix: '' })
  await store.close()
  const read = (path: string) => (existsSync(join(dataDir, path)) ? readFileSync(join(dataDir, path), 'utf8') : undefined)
  return {
    items: items.map((i) => `${i.key}=${i.value.toString()}`), revision,
    files: { key: read('server/tls/server-ca.key'), leaf: read('server/tls/serving.crt'), cred: read('server/cred/encryption-config.json'), token: read('server/token'), agentToken: read('server/agent-token'), manifest: read('server/manifests/mine.yaml'), password: read('agent/node-password') },
    left: readdirSync(join(dataDir, 'server')).filter((n) => n.startsWith('restore.')),
  }
}

const OLD = { items: ['/a=old'], files: { key: 'old key', leaf: 'old leaf', cred: 'old', token: 'old token', agentToken: 'old agent token', manifest: 'mine', password: 'old password' } }
const NEW_TOKEN = `S10${'c'.repeat(64)}::server:${SECRET}\n`
const NEW = { items: ['/a=new', '/b=new'], files: { key: 'the key', leaf: undefined, cred: '{"keys":1}', token: NEW_TOKEN, agentToken: 'old agent token', manifest: 'mine', password: 'old password' } }

describe('restore', () => {
  it('makes a new data directory of a snapshot and the token', () => withWorld(async ({ dataDir, options }) => {
    const restored = await restoreSnapshot(options)
    assert.deepEqual([restored.keys, restored.node, existsSync(restored.before)], [2, 'h1', false])
    const { items, files, revision, left } = await stateOf(dataDir)
    assert.deepEqual({ items, files, left }, { items: NEW.items, files: { ...NEW.files, agentToken: undefined, manifest: undefined, password: undefined }, left: [] })
    // Nobody can have seen such a revision.
    assert.ok(revision > 1_000_000_000)
    assert.equal((statSync(join(dataDir, 'server/tls/server-ca.key')).mode & 0o777).toString(8), '600')
    assert.equal((statSync(join(dataDir, 'server/token')).mode & 0o777).toString(8), '600')
  }))

  it('replaces what is there, keeps it once, and leaves alone what is not the cluster\'s', () => withWorld(async ({ dataDir, options }) => {
    await old(dataDir)
    const { before } = await restoreSnapshot(options)
    const { items, files, left } = await stateOf(dataDir)
    assert.deepEqual({ items, files, left }, { ...NEW, left: [] })
    const kept = await stateOf(before)
    assert.deepEqual([kept.items, kept.files.key, kept.files.leaf, kept.files.token], [OLD.items, 'old key', 'old leaf', 'old token'])
    await restoreSnapshot(options)
    assert.equal(readFileSync(join(before, 'server/tls/server-ca.key'), 'utf8'), 'the key')
  }))

  it('refuses the wrong token, a damaged file, a newer format and another cluster before it touches anything', () => withWorld(async ({ dataDir, file, options }) => {
    await old(dataDir)
    const bytes = readFileSync(file)
    const variant = (name: string, change: (b: Buffer) => Buffer) => {
      writeFileSync(`${file}.${name}`, change(Buffer.from(bytes)))
      return `${file}.${name}`
    }
    const flip = (at: number) => (b: Buffer) => { b.writeUInt8(b.readUInt8(at) ^ 0x10, at); return b }
    const newer = (b: Buffer) => { b.writeUInt32BE(2, 8); return b }
    const cases: [Partial<RestoreOptions>, string, RegExp][] = [
      [{ secret: 'another' }, 'WRONG_TOKEN', /--token/],
      [{ caHash: 'd'.repeat(64) }, 'OTHER_CLUSTER', /another cluster/],
      [{ file: `${file}.none` }, 'SNAPSHOT_UNREADABLE', /there is no snapshot/],
      [{ file: variant('head', flip(40)) }, 'SNAPSHOT_DAMAGED', /checksum/],
      [{ file: variant('body', flip(bytes.length - 60)) }, 'SNAPSHOT_DAMAGED', /checksum/],
      [{ file: variant('end', flip(bytes.length - 1)) }, 'SNAPSHOT_DAMAGED', /checksum/],
      [{ file: variant('cut', (b) => b.subarray(0, b.length - 7)) }, 'SNAPSHOT_DAMAGED', /checksum/],
      [{ file: variant('more', (b) => Buffer.concat([b, Buffer.from('x')])) }, 'SNAPSHOT_DAMAGED', /checksum/],
      [{ file: variant('empty', () => Buffer.alloc(0)) }, 'SNAPSHOT_DAMAGED', /empty/],
      [{ file: variant('magic', flip(2)) }, 'SNAPSHOT_DAMAGED', /does not start like one/],
      [{ file: variant('newer', newer) }, 'SNAPSHOT_FORMAT', /format 2, this skiff reads up to 1/],
      [{ lockStore: () => Promise.reject(Object.assign(new Error('runs'), { code: 'STORE_LOCKED' })) }, 'STORE_LOCKED', /runs/],
    ]
    for (const [change, code, says] of cases) {
      await assert.rejects(restoreSnapshot({ ...options, ...change }), (e: Error) => hasCode(e, code) && says.test(e.message) && !e.message.includes('another,'), code)
      const { items, files, left } = await stateOf(dataDir)
      assert.deepEqual({ items, files, left }, { ...OLD, left: [] }, code)
    }
  }))

  it('a kill at any point leaves the old or, after the next start, the new', { timeout: 120_000 }, () => withWorld(async ({ dataDir, file }) => {
    const here = (f: string) => new URL(f, import.meta.url).href
    // Each change of the file system is one step; the process kills itself before step N.
    const script = `
      const [, dataDir, file, secret, step] = process.argv
      const fs = await import('node:fs/promises')
      const { syncBuiltinESMExports } = await import('node:module')
      let left = Number(step)
      const tick = () => { if (left-- === 0) process.kill(process.pid, 'SIGKILL') }
      for (const name of ['mkdir', 'rename', 'rm', 'writeFile', 'open']) { const real = fs.default[name]; fs.default[name] = (...args) => { tick(); return real(...args) } }
      syncBuiltinESMExports()
      const { restoreSnapshot } = await import(${JSON.stringify(here('./restore.ts'))})
      const { openNewState } = await import(${JSON.stringify(here('../replication/machine/new-state.ts'))})
      const { levelOpener } = await import(${JSON.stringify(here('../store/open-level.ts'))})
      const { systemClock } = await import(${JSON.stringify(new URL('../../base/clock.ts', import.meta.url).href)})
      await restoreSnapshot({ dataDir, file, secret, caHash: undefined, force: false, clock: systemClock, openStore: (d) => openNewState(levelOpener(d)), lockStore: async () => async () => {} })`
    const outcomes: string[] = []
    for (let step = 0; ; step += 3) {
      rmSync(dataDir, { recursive: true, force: true })
      await old(dataDir)
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, dataDir, file, SECRET, String(step)], { stdio: ['ignore', 'ignore', 'inherit'] })
      const signal = await new Promise((resolve) => { child.once('exit', (_code, s) => resolve(s)) })
      const finished = await finishRestore(dataDir)
      const { items, files, left } = await stateOf(dataDir)
      const isNew = items[0] === '/a=new'
      assert.deepEqual({ items, files, left }, { ...(isNew ? NEW : OLD), left: [] }, `killed before step ${step}`)
      outcomes.push(`${isNew ? 'new' : 'old'}${finished === 'finished' ? ', finished' : ''}`)
      if (signal === null) break
    }
    // The kills met all three stretches, in this order: before the decision, while it was carried out, after it.
    assert.deepEqual([...new Set(outcomes)], ['old', 'new, finished', 'new'])
  }))
})
