/**
 * The first look at a server, before anything of it is trusted: the certificates of its handshake and the time it
 * says it is. Nothing secret is sent; whoever answers proves that it holds the leaf's key, no more.
 */
import { connect } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import { parseCertificate, type Certificate } from '#base/x509/index.ts'

/** In every API server's certificate and in no node's: clients check for it instead of the address, so that a server may change its address. */
export const API_SERVER_NAME = 'kubernetes'

const ANSWER_MS_MAX = 10_000
const ANSWER_BYTES_MAX = 64 * 1024
const CHAIN_MAX = 10

export interface ServerFacts {
  /** Leaf first. */
  chain: readonly Certificate[]
  /** From the Date header; undefined when it said none. */
  timeMs: number | undefined
}

/** Throws UsageError. */
export function parseServerUrl(url: string): { host: string; port: number; url: string } {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw new UsageError(`--server ${JSON.stringify(url)} is not a URL: it must be like https://192.0.2.1:6443`)
  }
  if (parsed.protocol !== 'https:' || parsed.hostname === '') throw new UsageError(`--server ${JSON.stringify(url)} must begin with https:// and name a host, like https://192.0.2.1:6443`)
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: parsed.port === '' ? 443 : Number(parsed.port), url: parsed.origin }
}

/** Rejects with `JOIN_UNREACHABLE`. */
export function probeServer(url: string, clock: Clock, signal: AbortSignal): Promise<ServerFacts> {
  const { host, port } = parseServerUrl(url)
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    let chain: Certificate[] = []
    let answer = Buffer.alloc(0)
    let settled = false
    const socket = connect({ host, port, servername: API_SERVER_NAME, ALPNProtocols: ['http/1.1'], rejectUnauthorized: false })
    const finish = (act: () => void) => {
      if (settled) return
      settled = true
      cancelTimer()
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      act()
    }
    const fail = (why: string, cause?: unknown) => finish(() => reject(new CodedError('JOIN_UNREACHABLE', `${url} ${why}`, { cause })))
    const done = () => finish(() => resolve({ chain, timeMs: dateOf(answer) }))
    const cancelTimer = clock.after(ANSWER_MS_MAX, () => (chain.length > 0 ? done() : fail(`did not answer within ${ANSWER_MS_MAX / 1000} s`)))
    const onAbort = () => finish(() => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted')))
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', (error) => (chain.length > 0 ? done() : fail(`cannot be reached: ${error.message}`, error)))
    socket.once('secureConnect', () => {
      try {
        chain = peerChain(socket.getPeerCertificate(true))
      } catch (error) {
        fail('shows a certificate that cannot be read', error)
        return
      }
      socket.write(`GET /version HTTP/1.1\r\nHost: ${API_SERVER_NAME}\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', (data: Buffer) => {
      answer = Buffer.concat([answer, data])
      // The head is all that matters.
      if (answer.includes('\r\n\r\n') || answer.length > ANSWER_BYTES_MAX) done()
    })
    socket.once('close', () => (chain.length > 0 ? done() : fail('closed the connection at once: is it a skiff server?')))
  })
}

interface PeerCertificate { raw?: Buffer; issuerCertificate?: PeerCertificate }

function peerChain(leaf: PeerCertificate): Certificate[] {
  const chain: Certificate[] = []
  // A self-signed root names itself as its issuer.
  for (let at: PeerCertificate | undefined = leaf; at?.raw && chain.length < CHAIN_MAX; at = at.issuerCertificate === at ? undefined : at.issuerCertificate) {
    const certificate = parseCertificate(at.raw)
    if (chain.some((c) => c.der.equals(certificate.der))) break
    chain.push(certificate)
  }
  return chain
}

function dateOf(answer: Buffer): number | undefined {
  const match = /^date:[ \t]*([^\r\n]+)/im.exec(answer.toString('latin1'))
  const ms = Date.parse(match?.[1] ?? '')
  return Number.isNaN(ms) ? undefined : ms
}
