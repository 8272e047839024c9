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
    .toSorted(bySpecificity)
    .map(({ auth, secret }) => ({ auth, secret }))
}

function entriesOf(secret: Secret): Entry[] {
  const [json, old] = [secret.data?.['.dockerconfigjson'], secret.data?.['.dockercfg']]
  const file = json ?? old
  if (file === undefined) return []
  // Not JSON: the API server refuses such secrets, so it is one of an older version.
  const entries = parseDockerConfig(Buffer.from(file, 'base64').toString('utf8'), json === undefined ? 'old' : 'new') ?? []
  return entries.map(({ pattern: of, auth }) => ({ pattern: of, auth, secret: sourceOf(secret, auth) }))
}

/** What a docker config file says of registries: `new` is config.json, `old` .dockercfg. Undefined: it is none. */
export function parseDockerConfig(text: string, form: 'new' | 'old'): { pattern: string; auth: RegistryAuth }[] | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const auths = form === 'old' ? parsed : (parsed as { auths?: unknown }).auths
  if (typeof auths !== 'object' || auths === null) return []
  return Object.entries(auths).flatMap(([registry, value]) => {
    const auth = authOf(value)
    return auth ? [{ pattern: registryPattern(registry), auth }] : []
  })
}

/** Of such entries those that fit the image, most specific first. */
export function fittingAuths(image: string, entries: readonly { pattern: string; auth: RegistryAuth }[]): RegistryAuth[] {
  const target = splitImage(image)
  return entries.filter((e) => fits(e.pattern, target)).toSorted(bySpecificity).map(({ auth }) => auth)
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

/** Upstream's order: the names backwards, so that a path comes before its host, and a letter before a star. */
export const bySpecificity = (a: { pattern: string }, b: { pattern: string }): number => (a.pattern < b.pattern ? 1 : a.pattern > b.pattern ? -1 : 0)

/** `https://index.docker.io/v1/` -> `docker.io`; scheme and API version go. */
export function registryPattern(registry: string): string {
  const bare = registry.replace(/^https?:\/\//, '')
  const at = bare.indexOf('/')
  const [host, path] = at < 0 ? [bare, ''] : [bare.slice(0, at), bare.slice(at).replace(/^\/v[12]\//, '/')]
  return (path === '/' ? host : host + path).replace(/^(index|registry-1)\.docker\.io/, 'docker.io')
}

function splitImage(image: string): { host: string; path: string } {
  const at = image.indexOf('/')
  const first = at < 0 ? '' : image.slice(0, at)
  if (first.includes('.') || first.includes(':') || first === 'localhost') return { host: first.replace(/^(index|registry-1)\.docker\.io$/, 'docker.io'), path: image.slice(at + 1) }
  return { host: 'docker.io', path: at < 0 ? `library/${image}` : image }
}

/** `reg.example/team`, `*.example`: as registries are named in secrets. */
export const fitsImage = (registry: string, image: string): boolean => fits(registryPattern(registry), splitImage(image))

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
  // A beginning, not a directory: `reg.example/team-` is for all of these teams, as upstream.
  return path.startsWith(wantedPath)
}

/** Go's filepath.Match within one part of a name: any text, any letter, one of a class; what is no class fits nothing. In steps, not by a RegExp: people write these, and no pattern may take for ever. */
function glob(label: string, text: string): boolean {
  const terms = label.match(/\*|\?|\[\^?[^\]^[\\]+\]|[^*?[\\]/g) ?? []
  if (terms.join('') !== label) return false
  let [term, at, star, mark] = [0, 0, -1, 0]
  while (at < text.length) {
    const wanted = terms[term]
    if (wanted === '*') {
      star = term++
      mark = at
    } else if (wanted !== undefined && fitsLetter(wanted, text[at] ?? '')) {
      term++
      at++
    } else if (star >= 0) {
      // The last star takes one more.
      term = star + 1
      at = ++mark
    } else return false
  }
  return terms.slice(term).every((rest) => rest === '*')
}

function fitsLetter(term: string, letter: string): boolean {
  if (term.length === 1) return term === '?' || term === letter
  const isNegated = term.startsWith('[^')
  const ranges = term.slice(isNegated ? 2 : 1, -1).match(/.-.|./g) ?? []
  return isNegated !== ranges.some((range) => letter >= (range[0] ?? '') && letter <= (range[2] ?? range[0] ?? ''))
}
