/** What a URL means: upstream's RequestInfo. Pure; knows no kinds. */

export interface ResourceInfo {
  kind: 'resource'
  group: string
  version: string
  resource: string
  subresource: string
  /** '' for cluster-scoped and all-namespaces requests. */
  namespace: string
  name: string
  /** The name is a field selector's, not the path's: still a list. */
  isSelected?: true
  /** What follows the subresource, with its leading slash; '' when nothing does. Here only /proxy has that, extension APIs may. */
  rest: string
  /** The deprecated `/api/v1/watch/...` form. */
  watchPath: boolean
}

export interface PathInfo { kind: 'path'; path: string; segments: readonly string[] }

export type RequestInfo = ResourceInfo | PathInfo

/** Subresources after which everything is the target's own path. */
const PROXY = 'proxy'
/** Under `/namespaces/<name>/` these are the namespace's own subresources, not resources in it. */
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize'])

/** Upstream's: a namespace's own requests are in that namespace, so that who may read what is in it may read it, too. */
export const namespaceOf = ({ group, resource, namespace, name, isSelected }: ResourceInfo): string => (group === '' && resource === 'namespaces' && !isSelected ? name : namespace)

/** Undefined: a segment is not valid percent-encoded UTF-8, or a name is `.`, `..` or contains a slash. */
export function parseRequestInfo(path: string): RequestInfo | undefined {
  const raw = path.split('/')
  raw.shift()
  const segments: string[] = []
  for (const segment of raw) {
    const decoded = segment.includes('%') ? decodeSegment(segment) : segment
    if (decoded === undefined) return undefined
    segments.push(decoded)
  }
  const rootLength = segments[0] === 'api' ? 2 : segments[0] === 'apis' ? 3 : 0
  const used = segments.at(-1) === '' ? segments.length - 1 : segments.length
  if (rootLength === 0 || used <= rootLength) return { kind: 'path', path, segments: segments.slice(0, used) }
  const group = rootLength === 2 ? '' : (segments[1] ?? '')
  const version = segments[rootLength - 1] ?? ''
  let at = rootLength
  const watchPath = segments[at] === 'watch' && used > at + 1
  if (watchPath) at++
  const info: ResourceInfo = { kind: 'resource', group, version, resource: '', subresource: '', namespace: '', name: '', rest: '', watchPath }
  if (segments[at] === 'namespaces' && used > at + 2 && !NAMESPACE_SUBRESOURCES.has(segments[at + 2] ?? '')) {
    info.namespace = segments[at + 1] ?? ''
    at += 2
  }
  info.resource = segments[at] ?? ''
  info.name = used > at + 1 ? (segments[at + 1] ?? '') : ''
  info.subresource = used > at + 2 ? (segments[at + 2] ?? '') : ''
  if (used > at + 3 || (info.subresource === PROXY && segments.length > at + 3)) {
    info.rest = `/${raw.slice(at + 3).join('/')}`
  }
  if (info.name.includes('/') || info.name === '.' || info.name === '..' || info.namespace.includes('/') || info.namespace === '.' || info.namespace === '..') return undefined
  return info
}

function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    // Malformed escapes: the caller answers 400.
    return undefined
  }
}
