/** URLs as Go's net/url splits them. */
import type { Declaration } from '../overload.ts'
import { ArrayList, EntryMap, EvalError, OpaqueValue } from '../value.ts'
import type { CelMap } from '../value.ts'

interface Parts { scheme: string; host: string; path: string; query: string; text: string }

class UrlValue extends OpaqueValue {
  readonly typeName = 'kubernetes.URL'
  readonly parts: Parts
  constructor(parts: Parts) { super(); this.parts = parts }
  equals(other: OpaqueValue): boolean { return other instanceof UrlValue && other.parts.text === this.parts.text }
}

/** What net/url.ParseRequestURI takes: an absolute URI or an absolute path. A text: its complaint. */
export function parseRequestUri(text: string): Parts | string {
  const complain = (why: string): string => `parse ${JSON.stringify(text)}: ${why}`
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  if (/[\x00-\x1f\x7f]/.test(text)) return complain('net/url: invalid control character in URL')
  if (text === '') return complain('empty url')
  if (text === '*') return { scheme: '', host: '', path: '*', query: '', text }
  if (text.startsWith(':')) return complain('missing protocol scheme')
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1] ?? ''
  const rest = scheme === '' ? text : text.slice(scheme.length + 1)
  if (!rest.startsWith('/')) return scheme === '' || /^[^?]/.test(rest) === false ? complain('invalid URI for request') : opaqueUri(scheme, rest, text, complain)
  const fragment = rest.indexOf('#')
  const [before] = fragment < 0 ? [rest] : [rest.slice(0, fragment)]
  const question = before.indexOf('?')
  const hierarchical = question < 0 ? before : before.slice(0, question)
  const query = question < 0 ? '' : before.slice(question + 1)
  let host = ''
  let path = hierarchical
  if (hierarchical.startsWith('//') && (scheme !== '' || !hierarchical.startsWith('///'))) {
    const slash = hierarchical.indexOf('/', 2)
    const authority = hierarchical.slice(2, slash < 0 ? undefined : slash)
    path = slash < 0 ? '' : hierarchical.slice(slash)
    host = authority.slice(authority.lastIndexOf('@') + 1)
    const wrong = checkHost(host)
    if (wrong !== undefined) return complain(wrong)
  }
  const escape = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(path)
  if (escape) return complain(`invalid URL escape ${JSON.stringify(escape[0])}`)
  return { scheme: scheme.toLowerCase(), host, path, query, text }
}

function opaqueUri(scheme: string, rest: string, text: string, complain: (why: string) => string): Parts | string {
  return rest === '' ? complain('invalid URI for request') : { scheme: scheme.toLowerCase(), host: '', path: '', query: rest.includes('?') ? rest.slice(rest.indexOf('?') + 1) : '', text }
}

function checkHost(host: string): string | undefined {
  if (host.startsWith('[')) {
    const end = host.lastIndexOf(']')
    if (end < 0) return "missing ']' in host"
    const port = host.slice(end + 1)
    return port === '' || /^:\d*$/.test(port) ? undefined : `invalid port ${JSON.stringify(port)} after host`
  }
  const colon = host.lastIndexOf(':')
  if (colon >= 0 && !/^:\d*$/.test(host.slice(colon))) return `invalid port ${JSON.stringify(host.slice(colon))} after host`
  const bad = /[ "<>\\^`{|}]/.exec(host)
  return bad ? `invalid character ${JSON.stringify(bad[0])} in host name` : undefined
}

function url(text: string): UrlValue {
  const parts = parseRequestUri(text)
  if (typeof parts === 'string') throw new EvalError(`URL parse error during conversion from string: ${parts}`)
  return new UrlValue(parts)
}

const PORT = /:(\d*)$/
const hostname = (host: string): string => host.replace(PORT, '').replace(/^\[(.*)\]$/, '$1')
const port = (host: string): string => (host.endsWith(']') ? '' : (PORT.exec(host)?.[1] ?? ''))

/** What a path may hold unescaped; the rest is written as %XX of its UTF-8. */
const escapedPath = (path: string): string => path.replace(/[^A-Za-z0-9\-_.~$&+,/:;=@!'()*%[\]]+/g, (c) => encodeURIComponent(c))

function query(text: string): CelMap {
  const values = new Map<string, string[]>()
  for (const pair of text.split('&')) {
    if (pair === '' || pair.includes(';')) continue
    const [key = '', ...rest] = pair.split('=')
    const decoded = [key, rest.join('=')].map(decode)
    const [name, value] = decoded
    if (name === undefined || value === undefined) continue
    values.set(name, [...(values.get(name) ?? []), value])
  }
  return EntryMap.of(Array.from(values, ([key, list]) => [key, new ArrayList(list)] as const))
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // A malformed escape: Go drops the pair, too.
    return undefined
  }
}
const T = 'kubernetes.URL'

export const URLS: readonly Declaration[] = [
  ['string_to_url', `url(string): ${T}`, url],
  ['is_url_string', 'isURL(string): bool', (text: string) => typeof parseRequestUri(text) !== 'string'],
  ['url_get_scheme', `${T}->getScheme(): string`, (u: UrlValue) => u.parts.scheme],
  ['url_get_host', `${T}->getHost(): string`, (u: UrlValue) => u.parts.host],
  ['url_get_hostname', `${T}->getHostname(): string`, (u: UrlValue) => hostname(u.parts.host)],
  ['url_get_port', `${T}->getPort(): string`, (u: UrlValue) => port(u.parts.host)],
  ['url_get_escaped_path', `${T}->getEscapedPath(): string`, (u: UrlValue) => escapedPath(u.parts.path)],
  ['url_get_query', `${T}->getQuery(): map<string, list<string>>`, (u: UrlValue) => query(u.parts.query)],
]
