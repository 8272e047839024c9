/** Debian's etcd, real and for tests: one member or several on loopback, with or without TLS. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import type { GrpcTls } from '#base/grpc/grpc-client.ts'
import type { KeyValue, Store, WatchEvent } from '../store.ts'
import { openEtcdStore, type EtcdStoreOptions } from './store-etcd.ts'

/** Why tests with etcd are skipped; false: they are not. */
export const noEtcd: string | false = spawnSync('etcd', ['--version']).status === 0 ? false : 'needs etcd: apt install etcd-server'

export interface EtcdMember { readonly endpoint: string; kill(signal?: NodeJS.Signals): Promise<void>; /** After a kill. */ restart(): Promise<void>; pause(): void; resume(): void }

export interface EtcdCluster { readonly endpoints: readonly string[]; readonly members: readonly EtcdMember[]; stop(): Promise<void> }

export async function startEtcd({ members: count = 1, serverFlags = [], scheme = 'http', tls = {} }: { members?: number; serverFlags?: readonly string[]; scheme?: string; tls?: GrpcTls } = {}): Promise<EtcdCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-etcd-'))
  const ports = await freePorts(count * 2)
  const url = (port: number, s = scheme) => `${s}://127.0.0.1:${port}`
  const peers = Array.from({ length: count }, (_, i) => `m${i}=${url(ports[i * 2 + 1] ?? 0, 'http')}`).join(',')
  const members = Array.from({ length: count }, (_, i): EtcdMember & { start(): void; ready(): Promise<void> } => {
    const [client = 0, peer = 0] = ports.slice(i * 2)
    const state: { child: ChildProcess | undefined } = { child: undefined }
    const member = {
      endpoint: url(client),
      start() {
        state.child = spawn('etcd', [
          '--name', `m${i}`, '--data-dir', join(directory, `m${i}`), '--listen-client-urls', url(client), '--advertise-client-urls', url(client), '--listen-peer-urls', url(peer, 'http'), '--initial-advertise-peer-urls', url(peer, 'http'),
          '--initial-cluster', peers, '--log-level', 'error', '--heartbeat-interval', '50', '--election-timeout', '500', ...serverFlags,
        ], { stdio: 'ignore', env: { PATH: process.env['PATH'], ETCD_UNSUPPORTED_ARCH: process.arch } })
      },
      async ready() { await (await openEtcdStore({ ...storeOptions([url(client)], tls, '/ready'), limits: { ...QUICK, callMsMax: 20_000 } })).close() },
      async kill(signal: NodeJS.Signals = 'SIGKILL') {
        const { child } = state
        if (!child || child.exitCode !== null || child.signalCode !== null) return
        const gone = new Promise((resolve) => { child.once('exit', resolve) })
        child.kill(signal)
        await gone
      },
      async restart() {
        member.start()
        await member.ready()
      },
      pause() { state.child?.kill('SIGSTOP') },
      resume() { state.child?.kill('SIGCONT') },
    }
    return member
  })
  for (const member of members) member.start()
  await members[0]?.ready()
  return {
    members, endpoints: members.map((m) => m.endpoint),
    async stop() {
      for (const member of members) member.resume()
      await Promise.all(members.map((m) => m.kill()))
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Tests do not wait as long as people. */
const QUICK = { tryMsMax: 2_000, callMsMax: 4_000, silenceMsMax: 5_500 }

export function storeOptions(endpoints: readonly string[], tls: GrpcTls, prefix: string): EtcdStoreOptions {
  return { endpoints, tls, root: '', prefix, compactionIntervalMs: 0, clock: systemClock, log: silentLog, limits: QUICK, onLost: (error) => { throw error } }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => resolve(server))
  })))
  const ports = servers.map((s) => (s.address() as { port: number }).port)
  await Promise.all(servers.map((s) => new Promise((resolve) => { s.close(resolve) })))
  return ports
}

/** The same store, as if etcd had been empty at `base`: its revisions are the whole cluster's. */
export function since(base: number, store: Store): Store {
  const up = (revision: number) => (revision === 0 ? 0 : revision + base)
  const kv = <T extends KeyValue | undefined>(item: T): T => (item && { ...item, createRevision: item.createRevision - base, modRevision: item.modRevision - base }) as T
  const event = (e: WatchEvent): WatchEvent => ({ ...e, revision: e.revision - base, current: kv(e.current), previous: kv(e.previous) })
  return {
    revision: () => store.revision() - base,
    catchUp: () => store.catchUp(),
    compactRevision: () => store.compactRevision() - base,
    get: async (key, revision) => kv(await store.get(key, revision === undefined ? undefined : up(revision))),
    async list(options) {
      const result = await store.list({ ...options, ...(options.revision !== undefined && { revision: up(options.revision) }) })
      return { ...result, items: result.items.map(kv), revision: result.revision - base }
    },
    async txn(txn) {
      const result = await store.txn({ ...txn, compare: txn.compare.map((c) => ({ ...c, modRevision: up(c.modRevision) })) })
      return result.ok ? { ...result, revision: result.revision - base } : { ...result, revision: result.revision - base, current: kv(result.current) }
    },
    watch: ({ prefix, afterRevision }, listener) => store.watch({ prefix, afterRevision: up(afterRevision) }, (events, revision) => listener(events.map(event), revision - base)),
    changes(options) {
      const { events, through } = store.changes({ ...options, afterRevision: up(options.afterRevision) })
      return { events: events.map(event), through: through - base }
    },
    compact: (revision) => store.compact(up(revision)),
    snapshot: () => store.snapshot(),
    restore: (chunks) => store.restore(chunks),
    close: () => store.close(),
  }
}
