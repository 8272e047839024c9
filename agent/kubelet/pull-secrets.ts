/** Registry credentials out of imagePullSecrets: which of them fit an image, most specific first. Pure. */
import { createHash } from 'node:crypto'
import type { Secret } from '#api/types/index.ts'
import type { RegistryAuth } from '#cri/index.ts'
import { repositoryOf, type PullSecret } from './image-access/access.ts'

/** `secret`: where it is from, with a hash of it; undefined: it is the node's own. */
export interface ImageCredential { auth: RegistryAuth; secret: PullSecret | undefined }
interface Entry extends ImageCredential { pattern: string }

/** What cannot be read is skipped, as upstream does: a pull without it may still succeed. */
export function imageCredentials(image: string, secrets: readonly Secret[]): ImageCredential[] {
  const target = splitImage(image)
  return secrets.flatMap(entriesOf)
    .filter((e) => fits(e.pattern, target))
    .toSorted((a, b) => b.pattern.length - a.pattern.length)
    .map(({ auth, secret }) => ({ auth, secret }))
}

function entriesOf(secret: Secret): Entry[] {
  const file = secret.data?.['.dockerconfigjson'] ?? secret.data?.['.dockercfg']
  if (file === undefined) return []
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(file, 'base64').toString('utf8'))
  } catch {
    return [] // Not JSON: the API server refuses such secrets, so it is one of an older version.
  }
  const auths = secret.data?.['.dockerconfigjson'] === undefined ? parsed : (parsed as { auths?: unknown } | null)?.auths
  if (typeof auths !== 'object' || auths === null) return []
  return Object.entries(auths).flatMap(([registry, value]) => {
    const auth = authOf(value)
    return auth ? [{ pattern: pattern(registry), auth, secret: sourceOf(secret, auth) }] : []
  })
}

function sourceOf({ metadata }: Secret, { username, password, identityToken, registryToken }: RegistryAuth): PullSecret {
  const text = JSON.stringify({ username, password, identitytoken: identityToken, registrytoken: registryToken })
  return { uid: metadata?.uid ?? '', namespace: metadata?.namespace ?? '', name: metadata?.name ?? '', credentialHash: createHash('sha256').update(text).digest('hex') }
}

function authOf(value: unknown): RegistryAuth | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { username, password, auth, identitytoken, registrytoken } = value as Record<string, unknown>
  const out: RegistryAuth = {}
  if (typeof username === 'string') out.username = username
  if (typeof password === 'string') out.password = password
  if (typeof auth === 'string') {
    const text = Buffer.from(auth, 'base64').toString('utf8')
    const at = text.indexOf(':')
    if (at >= 0) Object.assign(out, { username: text.slice(0, at), password: text.slice(at + 1).replace(/\0+$/, '') })
  }
  if (typeof identitytoken === 'string' && identitytoken !== '') out.identityToken = identitytoken
  if (typeof registrytoken === 'string' && registrytoken !== '') out.registryToken = registrytoken
  return Object.keys(out).length > 0 ? out : undefined
}

/** `https://index.docker.io/v1/` -> `docker.io`; scheme and API version go. */
function pattern(registry: string): string {
  const bare = registry.replace(/^https?:\/\//, '').replace(/\/v[12]\/?$/, '').replace(/\/$/, '')
  return bare.replace(/^(index|registry-1)\.docker\.io/, 'docker.io')
}

function splitImage(image: string): { host: string; path: string } {
  const at = image.indexOf('/')
  const first = at < 0 ? '' : image.slice(0, at)
  if (first.includes('.') || first.includes(':') || first === 'localhost') return { host: first.replace(/^(index|registry-1)\.docker\.io$/, 'docker.io'), path: image.slice(at + 1) }
  return { host: 'docker.io', path: at < 0 ? `library/${image}` : image }
}

/** `reg.example/team`, `*.example`: as registries are named in secrets. */
export const fitsImage = (registry: string, image: string): boolean => fits(pattern(registry), splitImage(image))

/** With its registry, without tag and digest: `docker.io/library/busybox`. */
export function wholeRepository(image: string): string {
  const { host, path } = splitImage(repositoryOf(image))
  return `${host}/${host === 'docker.io' && !path.includes('/') ? `library/${path}` : path}`
}

function fits(entry: string, { host, path }: { host: string; path: string }): boolean {
  const at = entry.indexOf('/')
  const wantedHost = at < 0 ? entry : entry.slice(0, at)
  const wantedPath = at < 0 ? '' : entry.slice(at + 1)
  const labels = wantedHost.split('.')
  const actual = host.split('.')
  if (labels.length !== actual.length || !labels.every((l, i) => glob(l, actual[i] ?? ''))) return false
  return wantedPath === '' || path === wantedPath || path.startsWith(`${wantedPath}/`) || path.startsWith(`${wantedPath}:`) || path.startsWith(`${wantedPath}@`)
}

function glob(label: string, text: string): boolean {
  if (!label.includes('*')) return label === text
  return new RegExp(`^${label.split('*').map((p) => p.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*')}$`).test(text)
}
