/** `skiff snapshot save|list|restore|delete|prune`: k3s' etcd-snapshot. Save asks the running server; restore wants it stopped. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { chunks, collect } from '#api/client/body.ts'
import { parseToken } from '#api/token/token.ts'
import { asError, CodedError, hasCode, UsageError } from '#base/errors.ts'
import { readText } from '../apiserver/pki/files.ts'
import { directoryStorage, type DirectoryStorage } from '../snapshot/directory-storage.ts'
import { excess, isoSeconds, snapshotName, snapshotTable } from '../snapshot/names.ts'
import { restoreSnapshot } from '../snapshot/restore.ts'
import { NODE_HEADER, SNAPSHOT_PATH } from '../snapshot/snapshot-endpoint.ts'
import type { SnapshotStorage } from '../snapshot/snapshot-storage.ts'
import { explainApiFailure, kubeconfigPath, openAdminClient } from './admin-client.ts'
import { readOwnFlags } from './config-file.ts'
import { clock } from './environment.ts'
import { parseFlags, type FlagValues } from './flags.ts'
import { hostName } from './host.ts'
import { text } from './node-config.ts'
import { snapshotDirectory } from './snapshot-config.ts'
import { SNAPSHOT_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

type Word = (values: FlagValues, names: readonly string[]) => Promise<void>

const WORDS: Readonly<Record<string, { run: Word; /** How many names it takes. */ names: 'none' | 'one' | 'some' }>> = {
  save: { run: save, names: 'none' },
  list: { run: list, names: 'none' },
  ls: { run: list, names: 'none' },
  restore: { run: restore, names: 'one' },
  delete: { run: remove, names: 'some' },
  prune: { run: prune, names: 'none' },
}

/** A server with a slow card and a large store. */
const SAVE_MS_MAX = 600_000

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('snapshot'))
    return 0
  }
  const { values, positionals: [word = '', ...names] } = parseFlags('snapshot', SNAPSHOT_FLAGS, { argv, env: process.env, readConfig: readOwnFlags(SNAPSHOT_FLAGS) })
  const asked = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined
  if (!asked) throw new UsageError(`skiff snapshot ${word === '' ? 'needs' : `knows no ${JSON.stringify(word)}, only`} save, list, restore, delete or prune; skiff snapshot --help tells more`)
  if (asked.names === 'none' && names.length > 0) throw new UsageError(`skiff snapshot ${word} takes no argument ${JSON.stringify(names[0])}${word === 'save' ? ': pass --name for another name' : ''}`)
  if (asked.names === 'one' && names.length !== 1) throw new UsageError(`skiff snapshot ${word} needs the name or the path of one snapshot; skiff snapshot list shows them`)
  if (asked.names === 'some' && names.length === 0) throw new UsageError(`skiff snapshot ${word} needs the name of a snapshot; skiff snapshot list shows them`)
  await asked.run(values, names)
  return 0
}

async function save(values: FlagValues): Promise<void> {
  const local = directoryStorage(snapshotDirectory(values))
  const admin = openAdminClient(kubeconfigPath(text(values, 'kubeconfig')))
  try {
    const signal = AbortSignal.timeout(SAVE_MS_MAX)
    const answer = await admin.transport.request({ method: 'GET', path: SNAPSHOT_PATH, headers: {}, signal })
    if (answer.status !== 200) throw new CodedError('SNAPSHOT_REFUSED', `the server ${admin.server} gives no snapshot: ${refusal((await collect(answer.body)).toString())}`)
    const name = snapshotName(seriesPrefix(values), answer.headers[NODE_HEADER] ?? hostName(), clock.nowMs())
    const saved = await local.write(name, chunks(answer.body, signal))
    process.stdout.write(`Snapshot ${name} saved: ${saved.location}\n`)
  } catch (error) {
    throw explainApiFailure(error, admin)
  } finally {
    admin.close()
  }
}

async function list(values: FlagValues): Promise<void> {
  const all = await directoryStorage(snapshotDirectory(values)).list()
  process.stdout.write(values['json'] === true ? `${JSON.stringify(all.map((s) => ({ name: s.name, location: s.location, size: s.sizeBytes, createdAt: isoSeconds(s.createdMs) })), undefined, 2)}\n` : snapshotTable(all))
}

async function remove(values: FlagValues, names: readonly string[]): Promise<void> {
  const storage = directoryStorage(snapshotDirectory(values))
  const known = new Set((await storage.list()).map((s) => s.name))
  const missing = names.find((name) => !known.has(name))
  if (missing !== undefined) throw new CodedError('SNAPSHOT_UNKNOWN', `there is no snapshot ${missing} in ${storage.place}; skiff snapshot list shows them`)
  await removeAll(storage, names)
}

async function prune(values: FlagValues): Promise<void> {
  const storage: SnapshotStorage = directoryStorage(snapshotDirectory(values))
  const series = `${seriesPrefix(values)}-${text(values, 'node-name') ?? hostName()}`
  await removeAll(storage, excess(await storage.list(), series, Number(values['snapshot-retention'])).map((s) => s.name))
}

async function removeAll(storage: SnapshotStorage, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await storage.delete(name)
    process.stdout.write(`Snapshot ${name} deleted.\n`)
  }
  if (names.length === 0) process.stdout.write('No snapshots to delete.\n')
}

async function restore(values: FlagValues, [name = '']: readonly string[]): Promise<void> {
  const dataDir = text(values, 'data-dir') ?? '/var/lib/skiff'
  const { secret, caHash } = await tokenFor(values, dataDir)
  const { openLevelStore } = await import('../store/store-level.ts')
  const { levelOpener } = await import('../store/open-level.ts')
  const open = (directory: string) => openLevelStore({ open: levelOpener(directory), clock })
  const restored = await restoreSnapshot({
    dataDir, file: localFile(directoryStorage(snapshotDirectory(values)), name), secret, caHash, force: values['force'] === true, clock, openStore: open,
    async lockStore(directory) {
      if (!existsSync(directory)) return async () => { /* nobody can have it open */ }
      try {
        const db = await levelOpener(directory)()
        return () => db.close()
      } catch (error) {
        if (hasCode(asError(error).cause, 'LEVEL_LOCKED')) throw new CodedError('STORE_LOCKED', `skiff server runs on ${dataDir}: stop it first`, { cause: error })
        // Damaged: that may be why a snapshot is restored.
        return async () => { /* nobody has it open */ }
      }
    },
  })
  process.stdout.write([
    `Restored the cluster as it was on ${restored.node} at ${isoSeconds(restored.createdMs)}: ${restored.keys} objects.`,
    ...(existsSync(restored.before) ? [`What was here before is in ${restored.before}.`] : []),
    'Start skiff server with the flags it had; other servers join it anew, with empty data directories.', '',
  ].join('\n'))
}

/** A path, or the name of one in the snapshot directory. */
function localFile(storage: DirectoryStorage, name: string): string {
  return name.includes('/') || existsSync(name) ? resolve(name) : storage.pathOf(name)
}

async function tokenFor(values: FlagValues, dataDir: string): Promise<{ secret: string; caHash: string | undefined }> {
  const path = join(dataDir, 'server', 'token')
  const token = text(values, 'token') ?? await readText(path)
  if (token === undefined) throw new UsageError(`--token: a snapshot's keys are sealed with the token its cluster had, and ${path} is not there: pass --token, set SKIFF_TOKEN, or put the token into the config file`)
  return parseToken(token)
}

const seriesPrefix = (values: FlagValues): string => text(values, 'name') ?? 'on-demand'

function refusal(body: string): string {
  try {
    return String((JSON.parse(body) as { message?: unknown }).message)
  } catch {
    return 'it is no skiff server, or an older one'
  }
}
