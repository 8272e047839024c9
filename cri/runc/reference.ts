/**
 * Image references as Docker and containerd read them: `busybox` is `docker.io/library/busybox:latest`.
 * Grammar: github.com/distribution/reference.
 */
import { CodedError } from '#base/errors.ts'

export interface Reference {
  /** `docker.io`, `localhost:5000`. */
  host: string
  /** `library/busybox`. */
  repository: string
  tag?: string
  /** `sha256:...`; wins over the tag. */
  digest?: string
}

const DIGEST = /^sha256:[0-9a-f]{64}$/
const TAG = /^\w[\w.-]{0,127}$/
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const HOST = /^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/
/** Of the repository with its host, as upstream limits it. */
const NAME_LENGTH_MAX = 255

/** Throws CRI_INVALID with containerd's words. */
export function parseReference(text: string): Reference {
  const invalid = (why = 'invalid reference format') => new CodedError('CRI_INVALID', `failed to parse image name "${text}": ${why}`)
  const at = text.indexOf('@')
  const digest = at < 0 ? undefined : text.slice(at + 1)
  if (digest !== undefined && !DIGEST.test(digest)) throw invalid()
  let name = at < 0 ? text : text.slice(0, at)
  const colon = name.lastIndexOf(':')
  let tag: string | undefined
  if (colon > name.lastIndexOf('/')) {
    tag = name.slice(colon + 1)
    name = name.slice(0, colon)
    if (!TAG.test(tag)) throw invalid()
  }
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const hasHost = first.includes('.') || first.includes(':') || first === 'localhost' || first !== first.toLowerCase()
  let host = hasHost ? first : 'docker.io'
  if (host === 'index.docker.io') host = 'docker.io'
  let repository = hasHost ? name.slice(slash + 1) : name
  if (host === 'docker.io' && !repository.includes('/')) repository = `library/${repository}`
  if (!HOST.test(host)) throw invalid()
  if (`${host}/${repository}`.length > NAME_LENGTH_MAX) throw invalid(`repository name must not be more than ${NAME_LENGTH_MAX} characters`)
  if (!repository.split('/').every((part) => PATH_PART.test(part))) {
    throw invalid(repository === repository.toLowerCase() ? undefined : 'invalid reference format: repository name must be lowercase')
  }
  if (tag === undefined && digest === undefined) tag = 'latest'
  return { host, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
}

/** `docker.io/library/busybox:1`; a digest replaces the tag. */
export function formatReference(ref: Reference): string {
  return ref.digest === undefined ? `${repositoryOf(ref)}:${ref.tag ?? 'latest'}` : `${repositoryOf(ref)}@${ref.digest}`
}

export function repositoryOf(ref: Reference): string {
  return `${ref.host}/${ref.repository}`
}

/** `sha256:` and 64 hex digits, as image ids and digests are written. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text)
}
