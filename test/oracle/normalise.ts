/** Takes out of an answer what two servers cannot have in common: identities, revisions, times, what was chosen by chance. Pure. */
import { isObject, type Answer, type Json } from './exchange.ts'

/** Of these only whether they are there is compared. */
const OPAQUE = new Set(['uid', 'continue', 'resourceVersion', 'creationTimestamp', 'deletionTimestamp', 'nodePort', 'healthCheckNodePort', 'lastTransitionTime'])
/** How old an object is, in a table. */
const AGE = /^(\d+[smhd])+$/
const NODE_PORT = /:3[0-2]\d{3}\//g
const UID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g
const SERVICE_IP = /\b10\.43\.\d+\.\d+\b/g
const CLOCK = /\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\b/g
/** What a refusal says of a revision that it found. */
const REVISION = /(ResourceVersion in record \(|current: |resource version: |to continue: )\d+/g
const TOKEN = /\beyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+/g
/** Times that requests name stay as they are. */
const SENT_TIME = '2026-01-01T'

export function normalised({ status, body, warnings }: Answer): Json {
  const clean = value(body)
  const told = warnings.flatMap((warning) => text(warning).split(/, (?=299 - )/)).filter((warning) => !isOfLater(warning))
  return { status, ...(told.length > 0 && { warnings: told.toSorted() }), body: isObject(clean) ? sorted(clean) : clean }
}

const MINOR = 36
/** A kube-apiserver that was built without a version tells of what later releases deprecate, too. */
const isOfLater = (warning: string): boolean => Number(/ is deprecated in v1\.(\d+)\+/.exec(warning)?.[1] ?? 0) > MINOR

function sorted(answer: Json): Json {
  if (answer['kind'] === 'Status') return sortedCauses(answer)
  return answer['kind'] === 'SelfSubjectRulesReview' ? sortedRules(answer) : answer
}

/** Informers tell of roles in any order. */
function sortedRules(review: Json): Json {
  const status = review['status'] as Record<string, unknown>
  return { ...review, status: Object.fromEntries(Object.entries(status).map(([key, rules]) => [key, Array.isArray(rules) ? rules.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))) : rules])) }
}

function value(of: unknown, key?: string): unknown {
  if (Array.isArray(of)) return of.map((v) => value(v, key === 'cells' ? 'cell' : key === 'columnDefinitions' ? 'column' : undefined))
  if (isObject(of)) {
    if (key === 'column') return value({ ...of, description: undefined })
    const isEntry = 'fieldsV1' in of
    // They are ordered by the second in which they were written, which may be another one there.
    const owners = of['managedFields']
    if (Array.isArray(owners)) return value({ ...of, managedFields: undefined, owners: owners.toSorted((a, b) => (ownerOf(a) < ownerOf(b) ? -1 : 1)) })
    return Object.fromEntries(Object.entries(of).filter(([, v]) => !isNothing(v)).map(([k, v]) => [k, isEntry && k === 'time' ? '<time>' : value(v, k)]))
  }
  if (key === 'cell' && typeof of === 'string' && AGE.test(of)) return '<age>'
  if (key !== undefined && OPAQUE.has(key) && (typeof of === 'string' || typeof of === 'number')) return `<${key}>`
  return typeof of === 'string' ? text(of) : of
}

/** Lists that nobody filled are null there and absent here, or the other way round. */
const isNothing = (of: unknown): boolean => of === null || of === undefined || (Array.isArray(of) && of.length === 0)

function ownerOf(entry: unknown): string {
  const { operation, manager, apiVersion, subresource } = entry as Json
  return JSON.stringify([operation, manager, apiVersion, subresource])
}

function text(of: string): string {
  return of.replace(TOKEN, claims).replace(UID, '<uid>').replace(REVISION, '$1<revision>').replace(SERVICE_IP, '<service ip>').replace(NODE_PORT, ':<node port>/').replace(CLOCK, (time) => (time.startsWith(SENT_TIME) ? time : '<time>'))
    
    // Where a build has its sources.
    .replace(/(in scheme )"[^"]*"/g, '$1"…"').replace(/(in scheme )\\"[^"]*\\"/g, '$1\\"…\\"').replace(/\bX509SHA256=[0-9a-f]+/g, '<certificate>').replace(/\b0x[0-9a-f]{6,}\b/g, '<address>')
}

/** What a token says but when it was made and its own identity. */
function claims(_token: string, payload: string): string {
  const { exp = 0, iat = 0, nbf: _nbf, jti: _jti, ...said } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp?: number; iat?: number; nbf?: number; jti?: string }
  return JSON.stringify({ ...said, seconds: exp - iat }, (_, of: unknown) => (isObject(of) ? Object.fromEntries(Object.entries(of).filter(([key]) => key !== 'warnafter').toSorted(([a], [b]) => (a < b ? -1 : 1))) : of))
}

/** Go walks maps in any order: what several causes say is compared, not which is told first. */
function sortedCauses(status: Json): Json {
  const details = status['details'] as Json | undefined
  const causes = details?.['causes']
  if (!Array.isArray(causes) || causes.length < 2) return status
  const message = String(status['message'])
  const at = message.indexOf(': [')
  const sorted = at < 0 || !message.endsWith(']') ? message : `${message.slice(0, at)}: [${message.slice(at + 3, -1).split(', ').toSorted().join(', ')}]`
  return { ...status, message: sorted, details: { ...details, causes: causes.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))) } }
}
