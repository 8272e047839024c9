/**
 * What a server must have to be one of its cluster: authorities with their keys, service account keys, join tokens, the
 * keys of encryption at rest. The files of `<data-dir>/server` as they are, so that a joined server starts as any other.
 */
import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import { parseClusterConfig, clusterConfigMap, type ClusterConfig } from '#api/cluster-config.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError, hasCode, UsageError } from '#base/errors.ts'

export interface JoinBundle {
  /** What all servers of the cluster must agree on. */
  cluster: ClusterConfig
  /** On which all of them listen. */
  port: number
  /** `vX.Y.Z` of Kubernetes that the server is. */
  kubernetes: string
  /** Path below `<data-dir>/server` to contents. */
  files: Readonly<Record<string, string>>
}

/** Nothing else is sent, nothing else is written. Optional ones last: `?`. */
const FILES: Readonly<Record<string, { mode: number; optional?: true }>> = {
  ...Object.fromEntries(['server-ca', 'client-ca', 'request-header-ca', 'kubelet-serving-ca'].flatMap((name) => [[`tls/${name}.key`, { mode: 0o600 }], [`tls/${name}.crt`, { mode: 0o644 }]])),
  'tls/service.key': { mode: 0o600 },
  token: { mode: 0o600 },
  'agent-token': { mode: 0o600 },
  'cred/encryption-config.json': { mode: 0o600, optional: true },
}
export const BUNDLE_BYTES_MAX = 1024 * 1024
const DIRECTORY_MODE = 0o700

export async function readBundle(dataDir: string, settings: Omit<JoinBundle, 'files'>): Promise<JoinBundle> {
  const files: Record<string, string> = {}
  for (const [name, { optional }] of Object.entries(FILES)) {
    try {
      files[name] = await readFile(join(dataDir, 'server', name), 'utf8')
    } catch (error) {
      if (!optional || !hasCode(error, 'ENOENT')) throw error
    }
  }
  return { ...settings, files }
}

export function encodeBundle(bundle: JoinBundle): Buffer {
  return Buffer.from(JSON.stringify({ ...bundle, cluster: clusterConfigMap(bundle.cluster).data }))
}

/** Throws `JOIN_ANSWER_MALFORMED`. */
export function decodeBundle(value: unknown): JoinBundle {
  const malformed = (why: string) => new CodedError('JOIN_ANSWER_MALFORMED', `the server's answer cannot be used (${why}): run the same release of skiff on all servers`)
  if (typeof value !== 'object' || value === null) throw malformed('it is no object')
  const { cluster, port, kubernetes, files } = value as Record<string, unknown>
  if (typeof port !== 'number' || typeof kubernetes !== 'string' || typeof cluster !== 'object' || cluster === null || typeof files !== 'object' || files === null) throw malformed('parts are missing')
  const known: Record<string, string> = {}
  for (const [name, { optional }] of Object.entries(FILES)) {
    const content = (files as Record<string, unknown>)[name]
    if (typeof content === 'string' && content.length <= BUNDLE_BYTES_MAX) known[name] = content
    else if (content !== undefined || !optional) throw malformed(`${name} is missing`)
  }
  return { cluster: parseClusterConfig({ data: cluster as Record<string, string> }), port, kubernetes, files: known }
}

/** Where the machine was of another cluster before: refused with a UsageError, nothing is written. */
export async function writeBundle(dataDir: string, bundle: JoinBundle): Promise<void> {
  const present = await readFile(join(dataDir, 'server', 'tls/server-ca.crt'), 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (present !== undefined && present.trim() !== bundle.files['tls/server-ca.crt']?.trim()) {
    throw new UsageError(`--server: this machine was a server of another cluster, whose keys are in ${join(dataDir, 'server')}: move that directory away to join this one`)
  }
  for (const [name, content] of Object.entries(bundle.files)) {
    await writeFileAtomic(join(dataDir, 'server', name), content, { mode: FILES[name]?.mode ?? 0o600, directoryMode: DIRECTORY_MODE })
  }
}

const FLAGS = { clusterCidr: '--cluster-cidr', serviceCidr: '--service-cidr', clusterDns: '--cluster-dns', clusterDomain: '--cluster-domain' } as const

/** What this server is started with must be what the cluster runs with. Throws a UsageError of one sentence. */
export function assertSameSettings(here: { cluster: ClusterConfig; port: number }, there: { cluster: ClusterConfig; port: number }): void {
  if (here.port !== there.port) throw new UsageError(`--https-listen-port: the servers of the cluster listen on ${there.port}, this one was started with ${here.port}: pass --https-listen-port ${there.port}`)
  assertSameCluster(here.cluster, there.cluster)
}

function assertSameCluster(here: ClusterConfig, there: ClusterConfig): void {
  for (const [key, flag] of Object.entries(FLAGS) as [keyof typeof FLAGS, string][]) {
    if (here[key] !== there[key]) throw new UsageError(`${flag}: the cluster runs with ${there[key]}, this server was started with ${here[key]}: pass ${flag} ${there[key]}`)
  }
  const [ours, theirs] = [here.disabled, there.disabled].map((parts) => parts.toSorted().join(','))
  if (ours !== theirs) throw new UsageError(`--disable: the cluster runs ${theirs === '' ? 'without --disable of dns and proxy' : `with --disable ${theirs}`}, this server ${ours === '' ? 'was started without' : `with --disable ${ours}`}: pass the same on all servers`)
}
