/** Kubeconfig files that name a webhook server (`--authentication-token-webhook-config-file`, `--authorization-webhook-config-file`): cluster is who is asked, user is who asks. */
import { dirname, resolve } from 'node:path'
import { asError, UsageError } from '#base/errors.ts'
import { DECODE_LIMITS } from '../decode/decode.ts'
import { parseYaml } from '../decode/yaml.ts'
import type { ClientConfig, ClientIdentity } from './webhook-client.ts'

export interface WebhookServer { config: ClientConfig; identity: ClientIdentity }

type Entry = Record<string, unknown>

/** Who this server is to a webhook, by where the webhook is. The same object each time. */
export type WebhookIdentities = (host: string, port: number) => ClientIdentity | undefined

/** `read` gives a file's text. Throws a UsageError that names `flag` and the file. */
export function parseWebhookKubeconfig(path: string, flag: string, read: (path: string) => string, { mayBePlain = false }: { /** http will do, too. */ mayBePlain?: boolean } = {}): WebhookServer {
  const { file, pem, wrong, identityOf } = open(path, flag, read)
  const context = named(file, 'contexts', 'context', text(file['current-context']))
  const cluster = named(file, 'clusters', 'cluster', text(context['cluster']))
  const server = text(cluster['server'])
  const scheme = URL.parse(server)?.protocol
  if (scheme !== 'https:' && !(mayBePlain && scheme === 'http:')) throw wrong(server === '' ? 'names no server' : `names the server ${JSON.stringify(server)}`)
  const ca = pem(cluster, 'certificate-authority')
  const serverName = text(cluster['tls-server-name'])
  return {
    config: { url: server, ...(ca !== undefined && { caBundle: Buffer.from(ca).toString('base64') }) },
    identity: { ...identityOf(named(file, 'users', 'user', text(context['user']))), ...(serverName !== '' && { serverName }), ...(cluster['insecure-skip-tls-verify'] === true && { insecure: true }) },
  }
}

/**
 * The kubeconfig of admission webhooks (WebhookAdmissionConfiguration): its users are named after webhooks (`hook.ns.svc`,
 * `hook.example.com:8443`, `*.example.com`, `*`), as upstream looks them up.
 */
export function parseWebhookIdentities(path: string, flag: string, read: (path: string) => string): WebhookIdentities {
  const { file, identityOf } = open(path, flag, read)
  const users = Array.isArray(file['users']) ? file['users'].map(record) : []
  const byName = new Map(users.map((user) => [text(user['name']), identityOf(record(user['user']))]))
  const current = text(named(file, 'contexts', 'context', text(file['current-context']))['user'])
  const find = (target: string): ClientIdentity | undefined => {
    const steps = target.split('.')
    return [target, ...steps.slice(1).map((_, i) => `*.${steps.slice(i + 1).join('.')}`)].map((name) => byName.get(name)).find((found) => found !== undefined)
  }
  return (host, port) => find(`${host}:${port}`) ?? (port === 443 ? find(host) : undefined) ?? byName.get('*') ?? byName.get(current)
}

function open(path: string, flag: string, read: (path: string) => string) {
  const wrong = (what: string) => new UsageError(`--${flag}: ${path} ${what}: it must be a kubeconfig whose current context names a cluster with an https server`)
  const readText = (name: string): string => {
    try {
      return read(name)
    } catch (error) {
      throw new UsageError(`--${flag}: ${name} cannot be read (${asError(error).message})`, { cause: error })
    }
  }
  const parsed = parseYaml(readText(path), { maxDepth: DECODE_LIMITS.maxDepth, maxValues: DECODE_LIMITS.maxYamlValues })
  if (!parsed.ok) throw wrong(`is no YAML (${parsed.message})`)
  const pem = (entry: Entry, key: string): string | undefined => {
    const [inline, at] = [text(entry[`${key}-data`]), text(entry[key])]
    return inline !== '' ? Buffer.from(inline, 'base64').toString() : at === '' ? undefined : readText(resolve(dirname(path), at))
  }
  const identityOf = (user: Entry): ClientIdentity => {
    const [certPem, keyPem] = [pem(user, 'client-certificate'), pem(user, 'client-key')]
    const tokenFile = text(user['tokenFile'])
    const bearer = text(user['token']) || (tokenFile === '' ? '' : readText(resolve(dirname(path), tokenFile)).trim())
    return { ...(certPem !== undefined && keyPem !== undefined && { clientCertificate: { certPem, keyPem } }), ...(bearer !== '' && { bearer }) }
  }
  return { file: record(parsed.value), pem, wrong, identityOf }
}

const record = (value: unknown): Entry => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Entry) : {})
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

function named(file: Entry, list: string, what: string, name: string): Entry {
  const entries = file[list]
  const found = Array.isArray(entries) ? entries.map(record).find((e) => e['name'] === name) : undefined
  return record(found?.[what])
}
