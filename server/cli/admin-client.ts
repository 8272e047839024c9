/** The API as an admin on this machine sees it: through a kubeconfig, like every other client. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { load } from 'js-yaml'
import type { Client } from '#api/client/client.ts'
import { createClient } from '#api/client/rest.ts'
import { createTlsTransport } from '#api/client/tls-transport.ts'
import type { Transport } from '#api/client/transport.ts'
import { asError, CodedError, hasCode, UsageError } from '#base/errors.ts'
import { readYamlMapping } from './config-file.ts'
import { clock } from './environment.ts'
import { DEFAULT_CONFIG_FILE } from './flags.ts'

const DEFAULT_KUBECONFIG = '/etc/skiff/skiff.yaml'

export interface AdminClient {
  client: Client
  /** For answers that are no JSON. */
  transport: Transport
  server: string
  /** PEM of the cluster's CA. */
  ca: string
  close(): void
}

/** What was asked for, then $KUBECONFIG (its first file), then where the server of this machine writes its own. */
export function kubeconfigPath(given?: string): string {
  const fromEnvironment = (process.env['KUBECONFIG'] ?? '').split(':').find((p) => p !== '')
  return given ?? fromEnvironment ?? process.env['SKIFF_WRITE_KUBECONFIG'] ?? serversOwn() ?? DEFAULT_KUBECONFIG
}

function serversOwn(): string | undefined {
  try {
    const path = readYamlMapping(DEFAULT_CONFIG_FILE, { optional: true, what: 'the config file' })['write-kubeconfig']
    return typeof path === 'string' ? path : undefined
  } catch (error) {
    // It may be the server's alone to read, or broken: `skiff server` is who says so.
    if (hasCode(error, 'USAGE')) return undefined
    throw error
  }
}

/** Rejects with UsageError naming the file and the mend. */
export function openAdminClient(path: string): AdminClient {
  const { server, ca, certificate, token } = parseKubeconfig(path)
  const transport = createTlsTransport({ servers: [server], ca, clock, ...(certificate && { clientCertificate: () => certificate }), ...(token !== undefined && { bearer: () => token }) })
  return { client: createClient(transport, { userAgent: 'skiff' }), transport, server, ca, close: () => transport.close() }
}

interface NamedEntry { name?: unknown; cluster?: Record<string, unknown>; user?: Record<string, unknown>; context?: Record<string, unknown> }

function parseKubeconfig(path: string): { server: string; ca: string; certificate: { cert: string; key: string } | undefined; token: string | undefined } {
  const wrong = (what: string, cause?: unknown) => new UsageError(`the kubeconfig ${path} ${what}: pass --kubeconfig with another, or run this where skiff server runs, as root`, { cause })
  let config: Record<string, unknown>
  try {
    config = load(readFileSync(path, 'utf8')) as Record<string, unknown>
  } catch (error) {
    throw wrong(`cannot be read (${asError(error).message.split('\n')[0] ?? ''})`, error)
  }
  const named = (list: 'clusters' | 'contexts' | 'users', name: unknown): NamedEntry | undefined => {
    const entries = typeof config === 'object' && config !== null ? config[list] : undefined
    return Array.isArray(entries) ? (entries as NamedEntry[]).find((e) => e.name === name) : undefined
  }
  const context = named('contexts', config?.['current-context'])?.context
  const cluster = named('clusters', context?.['cluster'])?.cluster
  const user = named('users', context?.['user'])?.user
  const server = cluster?.['server']
  if (!cluster || !user || typeof server !== 'string') throw wrong('has no usable current context')
  const pem = (entry: Record<string, unknown>, key: string): string | undefined => {
    const inline = entry[`${key}-data`]
    if (typeof inline === 'string') return Buffer.from(inline, 'base64').toString('utf8')
    const file = entry[key]
    return typeof file === 'string' ? readFileSync(resolve(dirname(path), file), 'utf8') : undefined
  }
  const ca = pem(cluster, 'certificate-authority')
  if (ca === undefined) throw wrong('names no certificate authority')
  const [cert, key, token] = [pem(user, 'client-certificate'), pem(user, 'client-key'), user['token']]
  return { server, ca, certificate: cert !== undefined && key !== undefined ? { cert, key } : undefined, token: typeof token === 'string' ? token : undefined }
}

/** A failure to reach the API as one sentence with the mend. */
export function explainApiFailure(error: unknown, admin: Pick<AdminClient, 'server'>): Error {
  if (!hasCode(error, 'API_UNREACHABLE') && !hasCode(error, 'API_TIMEOUT')) return asError(error)
  const cause = asError(error).cause
  return new CodedError('API_UNREACHABLE', `the API server ${admin.server} cannot be reached (${asError(cause ?? error).message}): is skiff server running there?`, { cause: error })
}
