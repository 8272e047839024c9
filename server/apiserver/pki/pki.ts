/**
 * Everything the server must hold to be trusted, under `<data-dir>/server/tls`: authorities, its own certificates,
 * the service account key, the tokens. Opened once at start; `renew` (call it daily) replaces certificates past two
 * thirds of their life without a restart.
 */
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { NO_ALT_NAMES, ipBytes, ipText } from '#base/x509/index.ts'
import { isIP } from 'node:net'
import { ensureAuthorities, type Authorities } from './authorities.ts'
import type { Pair } from './files.ts'
import { ensureLeaf, type LeafSpec } from './leaves.ts'
import { ensureServiceAccountKeys, type SigningKey } from './service-account-keys.ts'
import { ensureTokens, type TokenFiles } from './tokens.ts'

export interface PkiOptions {
  dataDir: string
  clock: Clock
  random: Random
  log: Log
  /** Further names and addresses of the API: hostname, node name, node IPs, advertise address, `--tls-san`. */
  names: readonly string[]
  clusterDomain: string
  /** The first address of the service range: `kubernetes.default`. */
  serviceIp: string
  /** What this server proves to the other servers of its cluster to be; undefined: there are none. */
  member?: { name: string; organization: string } | undefined
  /** `--token`, `--agent-token`. */
  token?: string | undefined
  agentToken?: string | undefined
}

export interface Credential { certPem: string; keyPem: string }

export interface Pki {
  readonly authorities: Authorities
  /** The API's: leaf and CA in one PEM. */
  readonly serving: Credential
  /** `system:admin` in `system:masters`, for the kubeconfig. */
  readonly admin: Credential
  /** What the API server shows to extension API servers. */
  readonly frontProxy: Credential
  /** For both ends of connections between servers. */
  readonly member: Credential | undefined
  readonly serviceAccountKeys: readonly SigningKey[]
  readonly tokens: TokenFiles
  /** Looks again at all leaves; true when one was replaced. Errors leave the old ones in use. */
  renew(names?: readonly string[]): Promise<boolean>
  /** Called after the serving or admin certificate was replaced: `server.setSecureContext`, write the kubeconfig. Returns the unsubscribe. */
  onRenewed(listener: () => void): () => void
  /** Renews daily until the signal aborts. */
  maintain(signal: AbortSignal): Promise<void>
}

const LOOK_EVERY_MS = 86_400_000

/** Throws `CLOCK_BEHIND` (wait and try again), `PKI_BROKEN`, UsageError. */
export async function openPki(options: PkiOptions): Promise<Pki> {
  const { clock, random, log } = options
  const directory = join(options.dataDir, 'server', 'tls')
  const authorities = await ensureAuthorities({ directory, nowMs: clock.nowMs(), random })
  const serviceAccountKeys = await ensureServiceAccountKeys(directory)
  const tokens = await ensureTokens(options.dataDir, authorities.server.hash, { server: options.token, node: options.agentToken }, random)
  const listeners = new Set<() => void>()
  let names = options.names

  const leaf = async (spec: LeafSpec): Promise<{ pair: Pair; changed: boolean }> => {
    const { pair, because } = await ensureLeaf(directory, spec, { nowMs: clock.nowMs(), random })
    if (because !== undefined) log.info('made a certificate', { file: spec.file, because, until: new Date(pair.chain[0]?.notAfterMs ?? 0).toISOString() })
    return { pair, changed: because !== undefined }
  }
  const ensureAll = async () => {
    const serving = await leaf({ file: 'serving-kube-apiserver', commonName: 'kube-apiserver', organizations: [], usages: ['serverAuth'], altNames: servingNames({ ...options, names }), authority: authorities.server, withChain: true })
    const admin = await leaf({ file: 'client-admin', commonName: 'system:admin', organizations: ['system:masters'], usages: ['clientAuth'], altNames: NO_ALT_NAMES, authority: authorities.client })
    const frontProxy = await leaf({ file: 'client-auth-proxy', commonName: 'system:auth-proxy', organizations: [], usages: ['clientAuth'], altNames: NO_ALT_NAMES, authority: authorities.requestHeader })
    const member = options.member && await leaf({ file: 'member', commonName: options.member.name, organizations: [options.member.organization], usages: ['serverAuth', 'clientAuth'], altNames: { ...NO_ALT_NAMES, dnsNames: [options.member.name] }, authority: authorities.server })
    return { serving: serving.pair, admin: admin.pair, frontProxy: frontProxy.pair, member: member?.pair, changed: serving.changed || admin.changed || frontProxy.changed || member?.changed === true }
  }
  let current = await ensureAll()

  const pki: Pki = {
    authorities, serviceAccountKeys, tokens,
    get serving() { return current.serving },
    get admin() { return current.admin },
    get frontProxy() { return current.frontProxy },
    get member() { return current.member },
    async renew(newNames) {
      if (newNames) names = newNames
      const next = await ensureAll()
      current = next
      if (next.changed) for (const listener of listeners) listener()
      return next.changed
    },
    onRenewed(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async maintain(signal) {
      while (!signal.aborted) {
        try {
          await clock.sleep(LOOK_EVERY_MS, signal)
        } catch (error) {
          if (signal.aborted) return
          throw error
        }
        await pki.renew().catch((error: unknown) => log.error('could not renew the certificates; they stay in use and it is tried again tomorrow', { error }))
      }
    },
  }
  return pki
}

/** What pods and agents call the API, and nobody else. */
export function clusterNames(clusterDomain: string): string[] {
  return ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', `kubernetes.default.svc.${clusterDomain}`]
}

/** What clients may call the API. Upstream's names, loopback, the service address and whatever this machine is called. */
export function servingNames(options: { names: readonly string[]; clusterDomain: string; serviceIp: string }) {
  const all = [...clusterNames(options.clusterDomain), 'localhost', '127.0.0.1', '::1', options.serviceIp, ...options.names]
  const known = [...new Set(all.map((n) => n.trim().toLowerCase()).filter((n) => n !== ''))]
  return { ...NO_ALT_NAMES, dnsNames: known.filter((n) => isIP(n) === 0), ipAddresses: [...new Set(known.filter((n) => isIP(n) !== 0).map((ip) => ipText(ipBytes(ip))))] }
}
