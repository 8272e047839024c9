/** Departures that are meant: what they look like in an answer, and the line of server/DIVERGENCE.md that says why. */
import type { Difference } from './differ.ts'
import type { Json, Step } from './exchange.ts'

export interface Known {
  /** Begins a line of the table in server/DIVERGENCE.md. */
  line: string
  matches: (seen: { step: Step; difference: Difference; ours: Json; theirs: Json }) => boolean
}

/** A server writes their status by itself, at a moment of its own. */
const SELF_WRITTEN = new Set(['apiservices', 'customresourcedefinitions', 'flowschemas', 'prioritylevelconfigurations', 'validatingadmissionpolicies'])

/** Not a difference, but a race: asked again, it may be none. */
export function isRace(kind: string, { path }: Difference, codes: readonly number[]): boolean {
  return SELF_WRITTEN.has(kind.split(' ').at(-1) ?? '') && (/^body\.(status|metadata\.owners)/.test(path) || codes.includes(409))
}

const messageOf = (answer: Json): string => ((answer['body'] as { message?: string } | undefined)?.message ?? '')

export const KNOWN: readonly Known[] = [
  { line: 'a strategic merge patch that cannot be applied', matches: ({ step, ours, theirs }) => step.form.startsWith('strategic') && theirs['status'] === 500 && (ours['status'] === 422 || ours['status'] === 400) },
  { line: 'an applied configuration that is not of its type', matches: ({ step, ours, theirs }) => step.form.startsWith('apply') && theirs['status'] === 500 && ours['status'] === 400 },
  { line: 'a JSON patch that does not apply', matches: ({ step, ours, theirs }) => step.form.startsWith('JSON patch') && theirs['status'] === 422 && ours['status'] === 422 && messageOf(theirs).startsWith('the server rejected our request due to an error in our request') },
  { line: 'a JSON or merge patch whose outcome is not of the kind', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && messageOf(theirs).startsWith('error when unmarshaling') === messageOf(ours).startsWith('error when unmarshaling') && /unable to parse|cannot unmarshal/.test(messageOf(theirs)) },
  { line: 'complaints of values of a wrong type', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && /cannot unmarshal|json: |Go struct field|of type v1|unmarshalerDecoder/.test(messageOf(theirs)) },
  { line: 'complaints that the spec of a claim', matches: ({ ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && /immutable after creation except/.test(messageOf(theirs)) && messageOf(theirs).startsWith(messageOf(ours).slice(0, 80)) },
]
