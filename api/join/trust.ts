/** Whether the server is the one the token speaks of, and whether this machine's clock lets it work with it. Pure. */
import { fingerprint, isIssuedBy, type Certificate } from '#base/x509/index.ts'
import { API_SERVER_NAME, type ServerFacts } from './probe.ts'

export type Trust =
  | { ok: true; ca: Certificate; verified: boolean }
  /** A person must mend it: never retried. */
  | { ok: false; message: string }

/** `caHash` undefined: a bare secret, so whatever root the server shows is taken. */
export function decideTrust(chain: readonly Certificate[], caHash: string | undefined, url: string): Trust {
  const leaf = chain[0]
  const roots = chain.filter((c) => c.isCa && isIssuedBy(c, c))
  const ca = caHash === undefined ? roots[0] : chain.find((c) => fingerprint(c.der) === caHash)
  if (!leaf || !ca) {
    if (!leaf || caHash === undefined || roots.length === 0) return { ok: false, message: `${url} does not show its cluster CA in the handshake: it is no skiff server, or something stands between` }
    return {
      ok: false,
      message: `${url} is of another cluster than the token, or something stands between: its CA is ${shortHash(fingerprint((roots[0] ?? leaf).der))}, the token says ${shortHash(caHash)}; no secret was sent. Take the token from <data-dir>/server/agent-token of that server`,
    }
  }
  if (!isIssuedBy(leaf, ca) || !leaf.altNames.dnsNames.includes(API_SERVER_NAME)) return { ok: false, message: `${url} shows a certificate that the cluster CA did not make for an API server: something stands between; no secret was sent` }
  return { ok: true, ca, verified: caHash !== undefined }
}

const shortHash = (hash: string): string => `${hash.slice(0, 12)}…`

/** Further apart than this, leases and token times go wrong: better to wait for NTP. */
export const CLOCK_SKEW_MS_MAX = 5 * 60_000

/** `kind` stays the same while the clock ticks on and `message`, which quotes it, does not. */
export interface ClockProblem {
  kind: 'differs' | 'behind' | 'ahead'
  /** One sentence. */
  message: string
}

/** Why this clock cannot be right; undefined when it can. */
export function clockProblem(nowMs: number, ca: Certificate, facts?: Pick<ServerFacts, 'timeMs' | 'chain'>): ClockProblem | undefined {
  const serverMs = facts?.timeMs
  const here = `this machine's clock says ${iso(nowMs)}`
  if (serverMs !== undefined && Math.abs(nowMs - serverMs) > CLOCK_SKEW_MS_MAX) return { kind: 'differs', message: `${here}, the server's ${iso(serverMs)}: waiting for the time to be set (NTP, or by hand)` }
  const from = Math.max(ca.notBeforeMs, facts?.chain[0]?.notBeforeMs ?? 0)
  const until = Math.min(ca.notAfterMs, facts?.chain[0]?.notAfterMs ?? Infinity)
  if (nowMs < from) return { kind: 'behind', message: `${here}, but the cluster's certificates begin at ${iso(from)}: waiting for the time to be set (NTP, or by hand)` }
  if (nowMs > until) return { kind: 'ahead', message: `${here}, but the server's certificate ended at ${iso(until)}: set the clock right, or restart the server so that it renews its certificate` }
  return undefined
}

const iso = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
