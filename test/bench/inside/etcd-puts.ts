/** Puts of 1 kB into etcd as its own benchmark makes them: so many clients, each one put after the other. */
import { systemClock } from '#base/clock.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { ETCD } from '#server/store/etcd/messages.ts'
import { answer, parseArguments, rateOf } from './api.ts'
import type { Writes } from './writes.ts'

const { members, count, inFlight, pids, valueBytes } = parseArguments<{ members: { host: string; port: number }[]; count: number; inFlight: number; pids: number[]; valueBytes: number }>()
const clients = Array.from({ length: inFlight }, (_, i) => new GrpcClient({ endpoint: { ...members[i % members.length] as { host: string; port: number }, tls: undefined }, peer: 'etcd', clock: systemClock }))
const value = Buffer.alloc(valueBytes, 'x')
const latencyMs: number[] = []
let next = 0
const put = async (): Promise<void> => {
  const startMs = performance.now()
  const n = next++
  await clients[n % clients.length]?.unary(ETCD.txn, { compare: [], success: [{ put: { key: Buffer.from(`/benchmark/core/configmaps/default/put-${n}`), value } }], failure: [] }, { timeoutMs: 20_000 })
  latencyMs.push(performance.now() - startMs)
}
await rateOf(pids, inFlight * 4, inFlight, put)
latencyMs.length = 0
const all = await rateOf(pids, count, inFlight, put)
for (const client of clients) client.close()
answer({ all, latencyMs } satisfies Writes)
