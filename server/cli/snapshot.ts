/** `skiff snapshot save|list|restore|delete|prune`: k3s' etcd-snapshot. Save asks the running server; restore wants it stopped. */
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { chunks, collect } from '#api/client/body.ts'
import { parseToken } from '#api/token/token.ts'
import { asError, CodedError, hasCode, UsageError } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { readText } from '../apiserver/pki/files.ts'
import { directoryStorage, type DirectoryStorage } from '../snapshot/directory-storage.ts'
import { excess, isoSeconds, snapshotName, snapshotTable } from '../snapshot/names.ts'
import { restoreInto, restoreSnapshot, type Restored, type RestoreOptions } from '../snapshot/restore.ts'
import { NODE_HEADER, SNAPSHOT_PATH } from '../snapshot/snapshot-endpoint.ts'
import type { SnapshotStorage } from '../snapshot/snapshot-storage.ts'
import { explainApiFailure, kubeconfigPath, openAdminClient, type AdminClient } from './admin-client.ts'
import { readOwnFlags } from './config-file.ts'
import { datastoreOf, openDatastore } from './datastore.ts'
import { clock } from './environment.ts'
import { parseFlags, type FlagValues } from './flags.ts'
import { hostName } from './host.ts'
import { text } from './node-config.ts'
import { s3Of, snapshotDirectory } from './snapshot-config.ts'
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
  await withAdmin(values, async (admin) => {
    // A mistake in the flags costs nothing yet.
    const remote = await remoteOf(values, admin)
    const signal = AbortSignal.timeout(SAVE_MS_MAX)
    const answer = await admin.transport.request({ method: 'GET', path: SNAPSHOT_PATH, headers: {}, signal })
    if (answer.status !== 200) throw new CodedError('SNAPSHOT_REFUSED', `the server ${admin.server} gives no snapshot: ${refusal((await collect(answer.body)).toString())}`)
    const name = snapshotName(seriesPrefix(values), answer.headers[NODE_HEADER] ?? hostName(), clock.nowMs())
    const saved = await local.write(name, chunks(answer.body, signal))
    process.stdout.write(`Snapshot ${name} saved: ${saved.location}\n`)
    if (remote) process.stdout.write(`Snapshot ${name} saved: ${(await remote.put(name, local.pathOf(name))).location}\n`)
  })
}

async function list(values: FlagValues): Promise<void> {
  const all = (await Promise.all((await storagesOf(values)).map((storage) => storage.list()))).flat().sort((a, b) => b.createdMs - a.createdMs || (a.location < b.location ? -1 : 1))
  process.stdout.write(values['json'] === true ? `${JSON.stringify(all.map((s) => ({ name: s.name, location: s.location, size: s.sizeBytes, createdAt: isoSeconds(s.createdMs) })), undefined, 2)}\n` : snapshotTable(all))
}

/** Wherever they are; all must be somewhere before any goes. */
async function remove(values: FlagValues, names: readonly string[]): Promise<void> {
  const held = await Promise.all((await storagesOf(values)).map(async (storage) => ({ storage, names: new Set((await storage.list()).map((s) => s.name)) })))
  const missing = names.find((name) => !held.some((h) => h.names.has(name)))
  if (missing !== undefined) throw new CodedError('SNAPSHOT_UNKNOWN', `there is no snapshot ${missing} in ${held.map(({ storage }) => storage.place).join(' and ')}; skiff snapshot list shows them`)
  for (const { storage, names: there } of held) await removeAll(storage, names.filter((name) => there.has(name)))
}

async function prune(values: FlagValues): Promise<void> {
  const series = `${seriesPrefix(values)}-${text(values, 'node-name') ?? hostName()}`
  for (const storage of await storagesOf(values)) {
    const old = excess(await storage.list(), series, Number(values['snapshot-retention'])).map((s) => s.name)
    if (old.length === 0) process.stdout.write(`Nothing to prune in ${storage.place}.\n`)
    await removeAll(storage, old)
  }
}

/** The directory, and S3 with `--s3`. */
async function storagesOf(values: FlagValues): Promise<SnapshotStorage[]> {
  const local = directoryStorage(snapshotDirectory(values))
  if (values['s3'] !== true) return [local]
  const remote = text(values, 's3-config-secret') === undefined ? await s3Of(values, undefined) : await withAdmin(values, (admin) => s3Of(values, admin.client))
  return [local, remote]
}

const remoteOf = (values: FlagValues, admin: AdminClient): Promise<SnapshotStorage | undefined> => (values['s3'] === true ? s3Of(values, admin.client) : Promise.resolve(undefined))

async function withAdmin<T>(values: FlagValues, work: (admin: AdminClient) => Promise<T>): Promise<T> {
  const admin = openAdminClient(kubeconfigPath(text(values, 'kubeconfig')))
  try {
    return await work(admin)
  } catch (error) {
    throw explainApiFailure(error, admin)
  } finally {
    admin.close()
  }
}

async function removeAll(storage: SnapshotStorage, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await storage.delete(name)
    process.stdout.write(`Snapshot ${name} deleted from ${storage.place}.\n`)
  }
}

/** Also for `skiff server --cluster-reset-restore-path`. */
export async function restore(values: FlagValues, [name = '']: readonly string[]): Promise<void> {
  const dataDir = text(values, 'data-dir') ?? '/var/lib/skiff'
  const { secret, caHash } = await tokenFor(values, dataDir)
  const fetched = join(dataDir, 'server', 'restore.download')
  try {
    const file = values['s3'] === true && !name.includes('/') ? fetched : localFile(directoryStorage(snapshotDirectory(values)), name)
    if (file === fetched) {
      await mkdir(dirname(fetched), { recursive: true, mode: 0o700 })
      await (await s3Of(values, undefined)).get(name, fetched)
    }
    process.stdout.write(await restoreFile(values, { dataDir, file, secret, caHash, force: values['force'] === true }))
  } finally {
    await rm(fetched, { force: true })
  }
}

/** Returns what to say. */
async function restoreFile(values: FlagValues, options: Pick<RestoreOptions, 'dataDir' | 'file' | 'secret' | 'caHash' | 'force'>): Promise<string> {
  const datastore = datastoreOf(values)
  if (datastore) {
    const store = await openDatastore(datastore, silentLog)
    try {
      return restoredText(await restoreInto(store, options), [])
    } finally {
      await store.close()
    }
  }
  const { openNewState } = await import('../replication/machine/new-state.ts')
  const { levelOpener } = await import('../store/open-level.ts')
  const restored = await restoreSnapshot({
    ...options, clock, openStore: (directory) => openNewState(levelOpener(directory)),
    async lockStore(directory) {
      if (!existsSync(directory)) return async () => { /* nobody can have it open */ }
      try {
        const db = await levelOpener(directory)()
        return () => db.close()
      } catch (error) {
        if (hasCode(asError(error).cause, 'LEVEL_LOCKED')) throw new CodedError('STORE_LOCKED', `skiff server runs on ${options.dataDir}: stop it first`, { cause: error })
        // Damaged: that may be why a snapshot is restored.
        return async () => { /* nobody has it open */ }
      }
    },
  })
  return restoredText(restored, existsSync(restored.before) ? [`What was here before is in ${restored.before}.`] : [])
}

const restoredText = ({ node, createdMs, keys }: Restored, more: readonly string[]): string => [
  `Restored the cluster as it was on ${node} at ${isoSeconds(createdMs)}: ${keys} objects.`, ...more, 'Start skiff server with the flags it had; other servers join it anew, with empty data directories.', '',
].join('\n')

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
