/** Departures that are meant: what they look like in an answer, and the line of server/DIVERGENCE.md that says why. */
import type { Difference } from './differ.ts'
import type { Json, Step } from './exchange.ts'

export interface Known {
  /** Begins a line of the table in server/DIVERGENCE.md. */
  line: string
  /** `sent`: the body as it went to upstream. */
  matches: (seen: { step: Step; sent: string; difference: Difference; ours: Json; theirs: Json }) => boolean
}

/** A server writes their status by itself, at a moment of its own. */
const SELF_WRITTEN = new Set(['apiservices', 'customresourcedefinitions', 'flowschemas', 'prioritylevelconfigurations', 'validatingadmissionpolicies'])

/** Not a difference, but a race: asked again, it may be none. */
export function isRace(kind: string, { path }: Difference, codes: readonly number[]): boolean {
  return SELF_WRITTEN.has(kind.split(' ').at(-1) ?? '') && (/^body\.(status|metadata\.owners)/.test(path) || codes.includes(409))
}

const messageOf = (answer: Json): string => ((answer['body'] as { message?: string } | undefined)?.message ?? '')

/** What was wrong, after what was shown. */
const tail = (message: string): string => /.*[}\]…]": (.*)$/s.exec(message)?.[1] ?? message
/** Shown objects begin with `{"` and are as deep as they are. */
const withoutObjects = (message: string): string => message.replace(/(Invalid|Unsupported) value: [[{].*[\]}]: /g, '$1 value: {}: ')
const distinct = (answer: Json): string => JSON.stringify([...new Set(((answer['body'] as { details?: { causes?: unknown[] } }).details?.causes ?? []).map((cause) => JSON.stringify(cause)))].toSorted())

export const KNOWN: readonly Known[] = [
  { line: 'a PUT whose resourceVersion is no number', matches: ({ ours, theirs }) => ours['status'] === 400 && theirs['status'] === 500 && messageOf(theirs).startsWith('strconv.ParseUint') },
  { line: 'nothing in `Accept` that the path has at all', matches: ({ step, ours, theirs }) => step.headers?.['accept'] !== undefined && (ours['status'] === 406) === (theirs['status'] === 406 && !step.headers['accept'].startsWith('application/*')) },
  { line: '`metadata.generation` of a new object of a kind that has none', matches: ({ step, difference }) => step.method === 'POST' && difference.path === 'body.metadata.generation' && difference.ours === undefined },
  { line: 'a new `metadata.generateName` in an update', matches: ({ step, sent, difference, ours }) => step.method !== 'POST' && sent.includes('generateName') && /^(status|body\.message|body\.details)/.test(difference.path) && ours['status'] !== 500 },
  { line: '`metadata.generateName` and `deletionGracePeriodSeconds` sent to a `/status`', matches: ({ step, sent, difference, ours }) => step.path.includes('/status') && ours['status'] === 200 && /generateName|deletionGracePeriodSeconds/.test(difference.path + sent) },
  { line: 'an unknown path, too many requests', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && theirs['body'] === '404 page not found\n' },
  { line: 'a strategic merge patch that cannot be applied', matches: ({ step, ours, theirs }) => step.form.startsWith('strategic') && theirs['status'] === 500 && (ours['status'] === 422 || ours['status'] === 400) },
  { line: 'an applied configuration that is not of its type', matches: ({ step, ours, theirs }) => step.form.startsWith('apply') && theirs['status'] === 500 && ours['status'] === 400 },
  { line: 'a JSON patch that does not apply', matches: ({ step, ours, theirs }) => step.form.startsWith('JSON patch') && theirs['status'] === 422 && ours['status'] === 422 && messageOf(theirs).startsWith('the server rejected our request due to an error in our request') },
  { line: 'a JSON or merge patch whose outcome is not of the kind', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && messageOf(theirs).startsWith(' "" is invalid: patch: Invalid value: ') && tail(messageOf(ours)) === tail(messageOf(theirs)) },
  { line: 'complaints of values of a wrong type', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && /cannot unmarshal|json: |Go struct field|of type v1|unmarshalerDecoder/.test(messageOf(theirs)) },
  { line: 'complaints that the spec of a claim', matches: ({ ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && messageOf(theirs).includes('\n@@ ') && messageOf(ours).endsWith(']') === messageOf(theirs).endsWith(']') },
  { line: 'objects in complaints', matches: ({ difference, ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && /^body\.(message|details)/.test(difference.path) && withoutObjects(messageOf(ours)) === withoutObjects(messageOf(theirs)) },
  { line: "the same complaint of an update's metadata and of the kind's own rules", matches: ({ ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && distinct(ours) === distinct(theirs) },
]
