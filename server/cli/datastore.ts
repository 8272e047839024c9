/** An external etcd as the flags ask for it. */
import { UsageError, type CodedError } from '#base/errors.ts'
import type { GrpcTls } from '#base/grpc/grpc-client.ts'
import type { Log } from '#base/log.ts'
import type { Store } from '../store/store.ts'
import { clock } from './environment.ts'
import { durationSeconds } from './flag-checks.ts'
import type { FlagValues } from './flags.ts'
import { text } from './node-config.ts'
import { readFlagFile } from './snapshot-config.ts'

export interface Datastore { endpoints: readonly string[]; tls: GrpcTls; prefix: string; compactionIntervalMs: number }

/** What all keys of the API server begin with. */
const ROOT = '/registry'

/** Undefined: the embedded store. Throws UsageError. */
export function datastoreOf(values: FlagValues): Datastore | undefined {
  const given = text(values, 'datastore-endpoint')
  const [caFile, certFile, keyFile] = [text(values, 'datastore-cafile'), text(values, 'datastore-certfile'), text(values, 'datastore-keyfile')]
  if (given === undefined) {
    const lost = Object.entries({ cafile: caFile, certfile: certFile, keyfile: keyFile }).find(([, file]) => file !== undefined)?.[0]
    if (lost !== undefined) throw new UsageError(`--datastore-${lost}: it is for an external etcd: pass --datastore-endpoint, too`)
    return undefined
  }
  for (const own of ['server', 'cluster-init', 'cluster-reset']) {
    if (values[own] !== undefined && values[own] !== false) throw new UsageError(`--${own}: it is for the embedded store; servers on one etcd (--datastore-endpoint) find each other there: leave it out`)
  }
  if ((certFile === undefined) !== (keyFile === undefined)) throw new UsageError(`--datastore-${certFile === undefined ? 'certfile' : 'keyfile'}: a certificate and its key go together: pass both`)
  const endpoints = given.split(',').map((endpoint) => endpoint.trim().replace(/\/$/, '')).map((endpoint) => (/:\d+$/.test(endpoint) ? endpoint : `${endpoint}:2379`))
  const [ca, cert, key] = [['datastore-cafile', caFile], ['datastore-certfile', certFile], ['datastore-keyfile', keyFile]].map(([flag = '', file]) => (file === undefined ? undefined : readFlagFile(flag, file)))
  return { endpoints, tls: { ca, cert, key }, prefix: text(values, 'etcd-prefix') ?? ROOT, compactionIntervalMs: (durationSeconds(text(values, 'etcd-compaction-interval') ?? '') ?? 0) * 1000 }
}

/** `onLost`: the process must begin anew; default: it ends. */
export async function openDatastore(datastore: Datastore, log: Log, onLost: (error: CodedError) => void = endLoudly(log)): Promise<Store> {
  const { openEtcdStore } = await import('../store/etcd/store-etcd.ts')
  return openEtcdStore({ ...datastore, root: ROOT, clock, log: log.with('etcd'), onLost })
}

/** Whoever started this starts it again; what it knew is read anew then. */
const endLoudly = (log: Log) => (error: CodedError): void => {
  log.error('ending, to begin anew', { error })
  process.exit(1)
}
