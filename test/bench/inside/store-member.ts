/**
 * A member of a replicated store in a process of its own, over the real transport. Each line of its stdin is a question:
 * `status` is answered by `{"leads", "isFollowed"}`, `{"count", "inFlight", "valueBytes", "pids"}` by so many puts made here, as
 * Writes. Ends with its stdin.
 */
import { createServer } from 'node:tls'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { initialConfiguration } from '#server/raft/configuration.ts'
import type { ReplicaNode } from '#server/replication/contract.ts'
import { openReplica } from '#server/replication/driver/replica.ts'
import { openLevelLog } from '#server/replication/log/level-log.ts'
import { openReplicatedStore } from '#server/replication/machine/open-replicated-store.ts'
import { RAFT_ALPN } from '#server/replication/transport/member-name.ts'
import { createTlsPeerTransport, type MemberCredentials } from '#server/replication/transport/tls.ts'
import { levelOpener } from '#server/store/open-level.ts'
import { answer, parseArguments, rateOf } from './api.ts'
import type { Writes } from './writes.ts'

export interface StoreMemberArguments { id: number; ip: string; port: number; directory: string; addresses: Record<string, string>; credentials: MemberCredentials }
/** `pids`: whose CPU is counted. */
export interface PutsQuestion { count: number; inFlight: number; valueBytes: number; pids: number[] }

/** As many objects as a board has: some are made, most are changed. */
const KEYS = 5_000

const { id, ip, port, directory, addresses, credentials } = parseArguments<StoreMemberArguments>()
const transport = createTlsPeerTransport({ id, credentials: () => credentials, clock: systemClock, random: systemRandom, log: silentLog })
const { ca, cert, key } = credentials
createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: false, ALPNProtocols: [RAFT_ALPN], SNICallback: (name, done) => done(null, transport.contextOf(name)) }, (socket) => {
  socket.on('error', () => { /* the transport hears of it, too */ })
  transport.acceptTls(socket)
}).listen(port, ip)

const opened: { node?: ReplicaNode } = {}
const store = await openReplicatedStore({
  open: levelOpener(join(directory, 'db')), receivedDirectory: join(directory, 'received'), clock: systemClock, random: systemRandom, log: silentLog,
  async start(machine, db) {
    opened.node = openReplica({ id, storage: await openLevelLog(db, { initial: initialConfiguration(addresses), stateAt: machine.applied }), machine, transport, clock: systemClock, random: systemRandom, log: silentLog })
    return opened.node
  },
})

createInterface({ input: process.stdin }).on('line', (line) => {
  void reply(line)
}).on('close', () => {
  void store.close().finally(() => process.exit(0))
})

async function reply(line: string): Promise<void> {
  if (line === 'status') {
    const status = opened.node?.status()
    answer({ leads: status?.role === 'leader', isFollowed: status?.followers.every((f) => f.active && f.state === 'replicate') ?? false })
    return
  }
  const { count, inFlight, valueBytes, pids } = JSON.parse(line) as PutsQuestion
  const value = Buffer.alloc(valueBytes, 'x')
  const latencyMs: number[] = []
  const put = async (n: number): Promise<void> => {
    const startMs = performance.now()
    const { ok } = await store.txn({ compare: [], ops: [{ kind: 'put', key: `/registry/core/configmaps/default/put-${n % KEYS}`, value }] })
    if (!ok) throw new Error('a put without a condition was refused')
    latencyMs.push(performance.now() - startMs)
  }
  await rateOf([], inFlight * 16, inFlight, put)
  latencyMs.length = 0
  const all = await rateOf(pids, count, inFlight, put)
  answer({ all, latencyMs } satisfies Writes)
}
