/**
 * Servers on one external etcd are one cluster by its keys: the first puts them there, sealed with the cluster's token, the
 * others take them from there, as k3s has it.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatToken } from '#api/token/token.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError, hasCode, UsageError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { fingerprint, parsePemBlock } from '#base/x509/index.ts'
import type { KeyValue, Store } from '../store/store.ts'
import { collectFiles, openFiles, sealFiles, type PlainFile, type SealedFiles } from './sealed-files.ts'

/** No resource's: groups have a dot. */
export const SHARED_KEYS = '/registry/skiff/keys'
/** Each machine's own. */
const OWN = 'agent/node-password'

interface Shared { cluster: string; files: SealedFiles }

/** The SHA-256 of the server CA of a data directory; undefined: it has none. */
export async function clusterOf(dataDir: string): Promise<string | undefined> {
  try {
    return fingerprint(parsePemBlock(await readFile(join(dataDir, 'server', 'tls', 'server-ca.crt'), 'utf8'), 'CERTIFICATE'))
  } catch (error) {
    // A certificate that cannot be read is no cluster that could be lost.
    if (hasCode(error, 'ENOENT') || hasCode(error, 'X509_MALFORMED')) return undefined
    throw error
  }
}

/** Keys of a cluster become those of a data directory that has none. */
export async function writeKeys(dataDir: string, files: readonly PlainFile[], token: { secret: string; cluster: string }): Promise<void> {
  for (const { path, mode, content } of [...files, { path: 'server/token', mode: 0o600, content: Buffer.from(`${formatToken({ caHash: token.cluster, user: 'server', secret: token.secret })}\n`) }]) {
    await writeFileAtomic(join(dataDir, path), content, { mode, directoryMode: 0o700 })
  }
}

/** Before the server makes keys of its own. `secret`: of `--token`. Rejects with UsageError, `OTHER_CLUSTER`, `WRONG_TOKEN`. */
export async function takeSharedKeys(store: Store, dataDir: string, secret: string | undefined): Promise<void> {
  const shared = parse(await store.get(SHARED_KEYS))
  if (!shared) return
  const present = await clusterOf(dataDir)
  if (present !== undefined) {
    assertSame(shared, present, dataDir)
    return
  }
  if (secret === undefined) throw new UsageError('--token: this etcd has a cluster already, whose keys are sealed with its token: pass the contents of <data-dir>/server/token of one of its servers')
  const files = await openFiles(shared.files, secret).catch((error: unknown) => {
    throw hasCode(error, 'WRONG_TOKEN') ? new CodedError('WRONG_TOKEN', '--token is not the token of the cluster in this etcd: pass the contents of <data-dir>/server/token of one of its servers', { cause: error }) : error
  })
  await writeKeys(dataDir, files, { secret, cluster: shared.cluster })
}

/** Once the server has its keys. Rejects with `OTHER_CLUSTER` when another one was faster. */
export async function putSharedKeys(store: Store, dataDir: string, { secret, cluster, random }: { secret: string; cluster: string; random: Random }): Promise<void> {
  const held = parse(await store.get(SHARED_KEYS))
  if (held) return assertSame(held, cluster, dataDir)
  const files = await sealFiles((await collectFiles(dataDir)).filter(({ path }) => path !== OWN), secret, random)
  const put = await store.txn({ compare: [{ key: SHARED_KEYS, modRevision: 0 }], ops: [{ kind: 'put', key: SHARED_KEYS, value: Buffer.from(JSON.stringify({ cluster, files } satisfies Shared)) }] })
  const other = put.ok ? undefined : parse(put.current)
  if (other) assertSame(other, cluster, dataDir)
}

export const hasKeys = (dataDir: string): boolean => existsSync(join(dataDir, 'server', 'tls', 'server-ca.key'))

const parse = (kv: KeyValue | undefined): Shared | undefined => kv && (JSON.parse(kv.value.toString()) as Shared)

function assertSame({ cluster }: Shared, present: string, dataDir: string): void {
  if (cluster !== present) throw new CodedError('OTHER_CLUSTER', `this etcd has another cluster than ${dataDir}: move ${join(dataDir, 'server')} away and start with --token of that cluster, or pass another --etcd-prefix`)
}
