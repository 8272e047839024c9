/**
 * How a machine becomes a node: check the server's CA against the token, prove the token, get a client certificate
 * for `system:node:<name>`. Once joined, starting needs no server. Certificates are renewed by `maintain`.
 */
import { createClient } from '#api/client/rest.ts'
import { createTlsTransport } from '#api/client/tls-transport.ts'
import { pinCa } from '#api/join/pin-ca.ts'
import { API_SERVER_NAME, parseServerUrl } from '#api/join/probe.ts'
import { isReason, type Client } from '#api/client/client.ts'
import { bearerOf, parseToken, type JoinToken } from '#api/token/token.ts'
import { backoffMs } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError, UsageError, asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { fingerprint, type AltNames, type Certificate } from '#base/x509/index.ts'
import { createHistogram } from '../kubelet/stats/histogram.ts'
import type { MetricFamily } from '../kubelet/stats/metrics-text.ts'
import { createIdentityFiles, type IdentityFiles, type NodeCertificate } from './identity-files.ts'
import { LIFE_SECONDS, requestCertificate } from './request-certificate.ts'

export interface JoinOptions {
  /** `--server`, at least one. */
  servers: readonly string[]
  /** `--token`; not needed once joined. */
  token?: string | undefined
  nodeName: string
  dataDir: string
  clock: Clock
  random: Random
  log: Log
  signal: AbortSignal
}

export interface NodeIdentity {
  readonly nodeName: string
  /** The pinned CA, PEM. Connect with it and `serverName: API_SERVER_NAME`. */
  readonly serverCa: string
  /** As TLS wants it; always the newest. */
  readonly client: () => { cert: string; key: string }
  /** Undefined until `maintain` got one. */
  readonly serving: () => { cert: string; key: string } | undefined
  /** How long both are good for, and what went wrong with getting others, under the kubelet's names. */
  metrics(): MetricFamily[]
  /** Called after either was replaced. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
  /**
   * Gets the serving certificate and renews both at two thirds of their life, until the signal aborts. `names` are
   * the node's own, as its Node object tells them. `client` speaks as this node.
   */
  maintain(client: Client, names: () => Pick<AltNames, 'dnsNames' | 'ipAddresses'>, signal: AbortSignal): Promise<void>
}

const RETRY = { baseMs: 1_000, maxMs: 30_000, jitter: 0.3 }
/** How often a taken name is tried again. */
const REFUSED_RETRY_MS = 30_000
/** From a minute to four years. */
const ROTATION_BOUNDS = [60, 3_600, 14_400, 86_400, 604_800, 2_592_000, 7_776_000, 15_552_000, 31_104_000, 124_416_000]
const RENEWAL_LOOK_MS = 3_600_000
/** While the node has no names and no serving certificate. */
const NAMES_LOOK_MS = 2_000

/**
 * Resolves with the identity: at once from disk, else after the join, however long the server is away or the clock
 * wrong. Rejects with UsageError (token, URL), `JOIN_TOKEN_REFUSED`, `JOIN_CA_MISMATCH`.
 */
export async function joinCluster(options: JoinOptions): Promise<NodeIdentity> {
  const token = options.token === undefined ? undefined : parseToken(options.token)
  const servers = options.servers.map((s) => parseServerUrl(s).url)
  if (servers.length === 0) throw new UsageError('no server to join: pass --server https://HOST:6443')
  const files = createIdentityFiles(options.dataDir, options.nodeName)
  const stored = await readIdentity(files, token, options)
  if (stored) return createIdentity({ ...options, files, ...stored })
  if (!token) throw new UsageError(`this machine has not joined as ${options.nodeName} yet: pass --token with the contents of <data-dir>/server/agent-token of a server`)
  if (token.caHash === undefined) options.log.warn('the token is a bare secret: the cluster CA cannot be verified; use the full token from <data-dir>/server/agent-token')
  const ca = await pinCa(servers, token, options)
  const client = await firstCertificate(servers, token, ca, files, options)
  await files.writeCa(ca)
  return createIdentity({ ...options, files, ca, client, serving: undefined })
}

/** Undefined: join (again). */
async function readIdentity(files: IdentityFiles, token: JoinToken | undefined, { clock, log }: JoinOptions) {
  const ca = await files.readCa()
  const client = await files.readCertificate('client')
  if (!ca || !client) return undefined
  if (token?.caHash !== undefined && token.caHash !== fingerprint(ca.certificate.der)) {
    log.warn('the token is of another cluster than the one this node joined: joining that one')
    await files.forget()
    return undefined
  }
  // A clock before the certificate is only behind; one after it may have stood still for a year.
  if (clock.nowMs() > client.parsed.notAfterMs && token) {
    log.warn('the node certificate has ended: joining again', { until: new Date(client.parsed.notAfterMs).toISOString() })
    return undefined
  }
  return { ca: ca.pem, client, serving: await files.readCertificate('serving') }
}

/** Proves the token over a connection that trusts nothing but the pinned CA. */
async function firstCertificate(servers: readonly string[], token: JoinToken, ca: string, files: IdentityFiles, { nodeName, clock, random, log, signal }: JoinOptions): Promise<NodeCertificate> {
  const transport = createTlsTransport({ servers, ca, serverName: API_SERVER_NAME, bearer: () => bearerOf(token), clock })
  try {
    const client = createClient(transport, { userAgent: 'skiff-agent' })
    const password = await files.password(random)
    let said = ''
    for (let failures = 1; ; failures++) {
      let waitMs = backoffMs(RETRY, failures, random)
      try {
        const { key, certPem } = await requestCertificate(client, { which: 'client', nodeName, password }, clock, signal)
        return await files.writeCertificate('client', key, certPem)
      } catch (thrown) {
        signal.throwIfAborted()
        const error = asError(thrown)
        if (isReason(error, 'Unauthorized')) throw new CodedError('JOIN_TOKEN_REFUSED', 'the server does not accept this token: take the one in <data-dir>/server/agent-token of a server and pass it as --token', { cause: error })
        // An admin may mend it (the reset of a node password, say): waiting saves a walk to the board.
        if (isReason(error, 'Forbidden')) waitMs = REFUSED_RETRY_MS
        if (error.message !== said) log.warn(`cannot join yet: ${error.message}`, { node: nodeName })
        said = error.message
      }
      await clock.sleep(waitMs, signal)
    }
  } finally {
    transport.close()
  }
}

interface IdentityState extends JoinOptions { files: IdentityFiles; ca: string; client: NodeCertificate; serving: NodeCertificate | undefined }

function createIdentity(state: IdentityState): NodeIdentity {
  const { files, clock, random, log, nodeName } = state
  const listeners = new Set<() => void>()
  const current = { client: state.client, serving: state.serving }

  const errors = { client: 0, serving: 0 }
  const rotations = createHistogram({ name: 'kubelet_certificate_manager_server_rotation_seconds', help: '[ALPHA] Histogram of the number of seconds the previous certificate lived before being rotated.', bounds: ROTATION_BOUNDS })

  const renew = async (which: 'client' | 'serving', client: Client, altNames: AltNames, signal: AbortSignal) => {
    const before = current[which]
    try {
      const { key, certPem } = await requestCertificate(client, { which, nodeName, altNames }, clock, signal)
      current[which] = await files.writeCertificate(which, key, certPem)
    } catch (error) {
      if (!signal.aborted) errors[which]++
      throw error
    }
    if (which === 'serving' && before) rotations.observe((clock.nowMs() - before.parsed.notAfterMs + lifeMs(before.parsed)) / 1000)
    log.info(`got a ${which} certificate`, { until: new Date(current[which]?.parsed.notAfterMs ?? 0).toISOString() })
    for (const listener of listeners) listener()
  }
  const none: AltNames = { dnsNames: [], ipAddresses: [], emails: [], uris: [] }

  return {
    nodeName,
    serverCa: state.ca,
    client: () => ({ cert: current.client.cert, key: current.client.key }),
    serving: () => current.serving && { cert: current.serving.cert, key: current.serving.key },
    metrics() {
      const ttl = (name: string, help: string, certificate: NodeCertificate | undefined): MetricFamily => ({ name: `kubelet_certificate_manager_${name}_ttl_seconds`, help: `[ALPHA] ${help}`, type: 'gauge', samples: [{ value: certificate ? Math.trunc((certificate.parsed.notAfterMs - clock.nowMs()) / 1000) : Infinity }] })
      const failed = (name: string, value: number): MetricFamily => ({ name: `kubelet_${name}`, help: '[ALPHA] Counter of certificate renewal errors.', type: 'counter', samples: [{ value }] })
      const until = 'The value is in seconds until certificate expiry (negative if already expired).'
      return [
        failed('certificate_manager_client_expiration_renew_errors', errors.client),
        ttl('client', `Gauge of the TTL (time-to-live) of the Kubelet's client certificate. ${until} If client certificate is invalid or unused, the value will be +INF.`, current.client),
        rotations.family(),
        ttl('server', `Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. ${until} If serving certificate is invalid or unused, the value will be +INF.`, current.serving),
        failed('server_expiration_renew_errors', errors.serving),
      ]
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async maintain(client, names, signal) {
      for (let failures = 0; !signal.aborted;) {
        let waitMs = RENEWAL_LOOK_MS
        try {
          if (clock.nowMs() >= renewAtMs(current.client.parsed)) await renew('client', client, none, signal)
          const altNames = { ...none, ...names() }
          const isNamed = altNames.dnsNames.length + altNames.ipAddresses.length > 0
          // The Node may not have been registered yet.
          if (!isNamed && !current.serving) waitMs = NAMES_LOOK_MS
          if (isNamed && isServingDue(current.serving?.parsed, altNames, clock.nowMs())) await renew('serving', client, altNames, signal)
          failures = 0
        } catch (error) {
          if (signal.aborted) return
          failures++
          waitMs = backoffMs({ ...RETRY, maxMs: RENEWAL_LOOK_MS / 12 }, failures, random)
          // Certificates have a third of their life left when this begins: no alarm, but not silence either.
          log.warn('could not renew a node certificate; trying again', { error: asError(error) })
        }
        await clock.sleep(waitMs, signal).catch((error: unknown) => { if (!signal.aborted) throw error })
      }
    },
  }
}

/** Node certificates are back-dated to their CA's beginning: what is left of the requested life counts. */
export function renewAtMs(certificate: Certificate): number {
  return certificate.notAfterMs - lifeMs(certificate) / 3
}

const lifeMs = ({ notAfterMs, notBeforeMs }: Certificate): number => Math.min(LIFE_SECONDS * 1000, notAfterMs - notBeforeMs)

/** Names that went away do not matter; a new one does. */
export function isServingDue(certificate: Certificate | undefined, names: Pick<AltNames, 'dnsNames' | 'ipAddresses'>, nowMs: number): boolean {
  if (!certificate || nowMs >= renewAtMs(certificate)) return true
  return !names.dnsNames.every((n) => certificate.altNames.dnsNames.includes(n)) || !names.ipAddresses.every((ip) => certificate.altNames.ipAddresses.includes(ip))
}
