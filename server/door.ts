/**
 * The port of a server and what is behind it before there is an API: certificates, the listener, agents' tunnels, other
 * servers' connections. A server that needs others to have a store opens it first.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import { writeKubeconfig } from '#api/kubeconfig.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { PeerRequest } from './apiserver/app.ts'
import { createHttpServer } from './apiserver/http-server.ts'
import { certificateChoice, type OwnersCertificates } from './apiserver/http/certificate-choice.ts'
import { createTunnelHub, TUNNEL_ALPN, type TunnelHub } from './apiserver/nodes/tunnel-hub.ts'
import { clusterNames, openPki, type Pki, type PkiOptions } from './apiserver/pki/pki.ts'
import { lateApi, type LateApi } from './cluster/late-api.ts'
import type { MemberRecord } from './cluster/member-record.ts'
import { memberName, MEMBERS_ORGANIZATION, RAFT_ALPN } from './replication/transport/member-name.ts'
import { createTlsPeerTransport, type TlsPeerTransport } from './replication/transport/tls.ts'
import type { ServerConfig } from './server-config.ts'

export interface Door {
  readonly pki: Pki
  readonly hub: TunnelHub
  readonly api: LateApi
  /** To the other servers; undefined: there are none. */
  readonly transport: TlsPeerTransport | undefined
  /** PEM, with what was added by flags. */
  clientCa(): string
  frontProxyCa(): string
  /** Opens the port and writes the kubeconfig. Twice is fine. */
  listen(): Promise<void>
  /** No new connections; resolves when those there are have ended or were cut. Twice is fine. */
  close(): Promise<void>
}

/** Whose client certificates make users, and whose proxies speak for users: PEM, '' for none. */
export interface ClientAuthorities {
  clients(): string
  proxies(): string
  onChange(listener: () => void): () => void
  close(): void
}

/** Certificates of the owner's, beside the cluster's own. */
export interface ServingCertificates {
  current(): OwnersCertificates
  onChange(listener: () => void): () => void
  close(): void
}

export interface DoorDeps { clock: Clock; random: Random; log: Log; /** Beside the cluster's own. */ clientAuthorities?: ClientAuthorities; servingCertificates?: ServingCertificates | undefined }

const CLOCK_LOOK_MS = 5_000
/** Agents look for their server again after at most so long. */
const AGENTS_BACK_MS = 10_000

/** `member`: this server may have others beside it. `answer`: what servers ask of each other, see `lateApi`. */
export async function openDoor(config: ServerConfig, deps: DoorDeps, signal: AbortSignal, member: MemberRecord | undefined, answer: (request: PeerRequest) => Promise<ApiResponse> | undefined): Promise<Door> {
  const { clock, random, log, clientAuthorities, servingCertificates } = deps
  const pki = await openPkiWhenTimeIsRight({
    dataDir: config.dataDir, clock, random, log, names: config.names, clusterDomain: config.cluster.clusterDomain, serviceIp: config.kubernetesServiceIp, token: config.token, agentToken: config.agentToken,
    ...(member && { member: { name: memberName(member.id), organization: MEMBERS_ORGANIZATION } }),
  }, signal)
  const hub = createTunnelHub({ clock, log, agentsBackMs: AGENTS_BACK_MS })
  const api = lateApi(answer)
  const transport = member && createTlsPeerTransport({ id: member.id, credentials: () => ({ ca: pki.authorities.server.certPem, cert: pki.member?.certPem ?? '', key: pki.member?.keyPem ?? '' }), clock, random, log })
  const clientCa = () => joined(pki.authorities.client.certPem, clientAuthorities?.clients())
  const frontProxyCa = () => joined(pki.authorities.requestHeader.certPem, clientAuthorities?.proxies())
  const reserved = new Set(clusterNames(config.cluster.clusterDomain))
  const tls = () => ({
    cert: pki.serving.certPem, key: pki.serving.keyPem, clientCa: clientCa(), frontProxyCa: frontProxyCa(),
    ...(servingCertificates && { choose: certificateChoice(pki.serving.certPem, reserved, servingCertificates.current()) }),
  })
  const http = await createHttpServer({
    api, tls: tls(), tlsChoice: config.tls, clock, random, log,
    protocols: { [TUNNEL_ALPN]: (socket) => hub.accept(socket), ...(transport && { [RAFT_ALPN]: (socket) => transport.acceptTls(socket) }) },
    ...(transport && { otherNames: { contextOf: (name) => transport.contextOf(name), protocol: RAFT_ALPN } }),
    limits: { bodyTimeoutMs: config.load.requestTimeoutMs, streamsPerConnectionMax: config.load.http2StreamsMax, goawayChance: config.load.goawayChance },
  })
  pki.onRenewed(() => {
    http.updateTls(tls())
    kubeconfig().catch((error: unknown) => log.error(asError(error).message))
  })
  clientAuthorities?.onChange(() => http.updateTls(tls()))
  servingCertificates?.onChange(() => http.updateTls(tls()))
  const state: { listening?: Promise<void>; closing?: Promise<void> } = {}

  async function kubeconfig(): Promise<void> {
    const path = config.kubeconfigPath
    try {
      await writeKubeconfig(path, { server: `https://${config.localHost}:${config.port}`, ca: pki.authorities.server.certPem, clientCertificate: pki.admin.certPem, clientKey: pki.admin.keyPem }, config.kubeconfigMode)
    } catch (error) {
      throw new CodedError('KUBECONFIG_UNWRITABLE', `the kubeconfig ${path} cannot be written (${asError(error).message}): mend that, or pass another path with --write-kubeconfig`, { cause: error })
    }
  }

  return {
    pki, hub, api, transport, clientCa, frontProxyCa,
    listen: () => (state.listening ??= http.listen(config.port, config.bindAddress).then(kubeconfig)),
    close: () => (state.closing ??= shutDown()),
  }

  async function shutDown(): Promise<void> {
    // Tunnels end with the streams they carry; idle ones must not hold up the shutdown.
    hub.drain()
    const closed = http.close()
    // Its connections are the listener's, too; what servers have to say to each other at the end goes before it.
    await closed
    hub.close()
  }
}

const joined = (own: string, further = ''): string => (further === '' ? own : `${own}\n${further}`)

/** A board without a clock battery starts in the past: wait for the time instead of failing for ever. */
async function openPkiWhenTimeIsRight(options: PkiOptions, signal: AbortSignal): Promise<Pki> {
  let isSaid = false
  for (;;) {
    try {
      return await openPki(options)
    } catch (error) {
      if (!hasCode(error, 'CLOCK_BEHIND')) throw error
      // Once: the message tells the time, and a board may wait for days.
      if (!isSaid) options.log.warn(`${asError(error).message}; waiting for that`)
      isSaid = true
      await options.clock.sleep(CLOCK_LOOK_MS, signal)
    }
  }
}
