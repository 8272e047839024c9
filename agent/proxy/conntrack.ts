/**
 * UDP knows no end of a connection: the kernel goes on translating a flow as it began, to an endpoint that is gone, or to
 * nowhere though an endpoint has come. Such flows are deleted, so that the client's next packet is translated anew.
 */
import type { UdpFlow } from '#cni/index.ts'
import type { Fragment } from './rules.ts'

export interface StaleUdp {
  /** `ip port` a client sends to, which led nowhere before; `* port` for any address (node ports). */
  fronts: Set<string>
  /** `ip port` of endpoints that are gone. */
  backends: Set<string>
}

export function nothingStale(): StaleUdp {
  return { fronts: new Set(), backends: new Set() }
}

/** Adds to `stale` what a Service's change from `before` to `after` makes so. */
export function noteStale(stale: StaleUdp, before: Fragment | undefined, after: Fragment | undefined): void {
  const stay = new Set(after?.udp.backends)
  for (const backend of before?.udp.backends ?? []) if (!stay.has(backend)) stale.backends.add(backend)
  const had = new Set((before?.udp.backends.length ?? 0) > 0 ? before?.udp.fronts : [])
  if (stay.size > 0) for (const front of after?.udp.fronts ?? []) if (!had.has(front)) stale.fronts.add(front)
}

export function isStaleFlow(flow: UdpFlow, stale: StaleUdp): boolean {
  const { original, reply } = flow
  const isTranslated = reply.source !== original.destination || reply.sourcePort !== original.destinationPort
  if (isTranslated) return stale.backends.has(`${reply.source} ${reply.sourcePort}`)
  return stale.fronts.has(`${original.destination} ${original.destinationPort}`) || stale.fronts.has(`* ${original.destinationPort}`)
}
