/** What a server is to be, once the command line is understood. */
import type { Client } from '#api/client/client.ts'
import type { ClusterConfig } from '#api/cluster-config.ts'
import type { AdmissionChoice } from './apiserver/admission/choice.ts'
import type { TlsChoice } from './apiserver/http-server.ts'
import type { RequestHeaders } from './apiserver/middleware/front-proxy.ts'
import type { SigningKey } from './apiserver/pki/service-account-keys.ts'
import type { ScheduledSnapshots } from './snapshot/scheduled-snapshots.ts'
import type { SnapshotStorage } from './snapshot/snapshot-storage.ts'

export interface ServerConfig {
  dataDir: string
  bindAddress: string
  /** How this machine itself reaches the port: 127.0.0.1 unless another address is bound; in brackets for IPv6. */
  localHost: string
  port: number
  advertiseAddress: string
  /** Host name, node name, node IPs, --tls-san. */
  names: readonly string[]
  cluster: ClusterConfig
  /** The first address of the service CIDR. */
  kubernetesServiceIp: string
  token: string | undefined
  agentToken: string | undefined
  kubeconfigPath: string
  kubeconfigMode: number
  disabled: ReadonlySet<'controllers' | 'scheduler'>
  load: LoadConfig
  admission: AdmissionChoice
  /** As they hold, without secrets: anyone who may read /flagz sees them. */
  flags: Readonly<Record<string, string>>
  /** --profiling: /debug/pprof */
  profiling: boolean
  /** Of the API port. */
  tls: TlsChoice
  /** Of proxies that speak for users. */
  requestHeaders: RequestHeaders
  serviceAccounts: { /** The first signs. */ issuers: readonly string[]; jwksUri: string | undefined; apiAudiences: readonly string[]; expirationSecondsMax: number | undefined; extendsExpiration: boolean; /** From files; undefined: skiff's own key signs. */ keys: { signs: SigningKey | undefined; verifies: readonly SigningKey[] } }
  /** What people call this server: `--node-name`, or the host's. */
  serverName: string
  /** Name of the Node on this machine; undefined: it has none. */
  nodeName: string | undefined
  /** By schedule; undefined: none. */
  snapshots: SnapshotConfig | undefined
}

/** `remote`: where they go besides the directory, asked for each time: the keys may be in a Secret. */
export type SnapshotConfig = Omit<ScheduledSnapshots, 'remote'> & { remote: ((client: Client) => Promise<SnapshotStorage>) | undefined }

/** Limits of the API server; names and defaults are kube-apiserver's. */
export interface LoadConfig {
  /** --enable-priority-and-fairness */
  priorityAndFairness: boolean
  /** --max-requests-inflight */
  requestsInFlight: number
  /** --max-mutating-requests-inflight */
  mutatingInFlight: number
  /** --request-timeout */
  requestTimeoutMs: number
  /** --min-request-timeout: of watches that name none. */
  minWatchTimeoutMs: number
  /** --http2-max-streams-per-connection */
  http2StreamsMax: number
  /** --goaway-chance */
  goawayChance: number
}
