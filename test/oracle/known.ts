/** Departures that are meant: what they look like in an answer, and the line of server/DIVERGENCE.md that says why. */
import type { Difference } from './differ.ts'
import type { Answer, Asked, Case, Json } from './exchange.ts'

export interface Known {
  /** Begins a line of the table in server/DIVERGENCE.md. */
  line: string
  /** `sent`: the body as it went to upstream. */
  matches: (seen: { of: Case; step: Asked; sent: string; difference: Difference; ours: Json; theirs: Json }) => boolean
}

/** A server writes their status by itself, at a moment of its own. */
const SELF_WRITTEN = new Set(['apiservices', 'customresourcedefinitions', 'flowschemas', 'prioritylevelconfigurations', 'validatingadmissionpolicies'])

/** Not a difference, but a race: asked again, it may be none. */
export function isRace(kind: string, { path }: Difference, codes: readonly number[]): boolean {
  return SELF_WRITTEN.has(kind.split(' ').at(-1) ?? '') && (/(^body|\.object)\.(status|metadata\.owners)/.test(path) || codes.includes(409))
}

/** An etcd of before 3.4.25 does not tell how far it is: an upstream beside it cannot begin a watch at what is newest. */
export const cannotTell = (theirs: Answer): boolean => /"message":"(Timeout: Too large resource version: \d+, current: \d+|a watch stream was requested by the client but the required storage feature RequestWatchProgress is disabled)"/.test(JSON.stringify(theirs.body))

const messageOf = (answer: Json): string => ((answer['body'] as { message?: string } | undefined)?.message ?? '')

/** Paths and definitions of group versions that upstream serves with a feature gate only. */
const OF_GATES = /certificates(\.k8s\.io)?[./]v1(alpha|beta)1|scheduling(\.k8s\.io)?[./]v1alpha2|storagemigration|meta\.v1\.GroupResource$/

/** What was wrong, after what was shown. */
const STRICT = 'strict decoding error: '
function tail(message: string): string {
  const at = message.lastIndexOf(STRICT)
  // Several fields that are unknown are told in any order.
  return at < 0 ? /.*[}\]…]": (.*)$/s.exec(message)?.[1] ?? message : message.slice(at + STRICT.length).split(', ').toSorted().join(', ')
}
/** Shown objects begin with `{"` and are as deep as they are. */
const withoutObjects = (message: string): string => message.replace(/(Invalid|Unsupported) value: ([[{].*[\]}]|null): /g, '$1 value: {}: ')
const distinct = (answer: Json): string => JSON.stringify([...new Set(((answer['body'] as { details?: { causes?: unknown[] } }).details?.causes ?? []).map((cause) => JSON.stringify(cause)))].toSorted())

const causesOf = (answer: Json): { field: string; message: string }[] => (answer['body'] as { details?: { causes?: { field: string; message: string }[] } } | undefined)?.details?.causes ?? []
/** Without what upstream's parser finds after the first thing that is wrong in an expression, and words for what is shown. */
const firstErrors = (answer: Json): string => JSON.stringify(causesOf(answer).map(({ field, message }) => `${field}: ${withoutObjects(message).replace(/(Syntax error: [^]*?)\nERROR: <input>[^]*$/, '$1')}`))
const isRefused = (...answers: readonly Json[]): boolean => answers.every(({ status }) => status === 422)
const withoutAdmin = (answer: Json): string => JSON.stringify(causesOf(answer).filter(({ field }) => !field.endsWith('.adminAccess')))

/** Without what holds of a definition once it is established, which takes upstream a while; an empty list of versions is shown in two ways. */
const unestablished = (answer: Json): string => JSON.stringify((((answer['body'] as { details?: { causes?: { field: string; message: string }[] } }).details?.causes ?? [])).filter(({ field, message }) => !(/^spec\.(scope|names\.kind)$/.test(field) && message.endsWith('field is immutable'))).map(({ field, message }) => `${field}: ${message.replace(/ value: (null|\[\]):/, ' value: <none>:')}`).toSorted())

export const KNOWN: readonly Known[] = [
  { line: 'a PUT whose resourceVersion is no number', matches: ({ ours, theirs }) => ours['status'] === 400 && theirs['status'] === 500 && messageOf(theirs).startsWith('strconv.ParseUint') },
  { line: 'nothing in `Accept` that the path has at all', matches: ({ step, difference, ours, theirs }) => theirs['status'] === 406 && (ours['status'] === 406 ? difference.path.startsWith('body') && /^(406: Not Acceptable|you requested )/.test(messageOf(theirs)) : /application\/\*|;q=0\b/.test(step.headers?.['accept'] ?? '')) },
  { line: 'refusals of bodies that are too large', matches: ({ difference, ours, theirs }) => ours['status'] === 413 && theirs['status'] === 413 && difference.path.startsWith('headers.') },
  { line: 'annotations that stand for fields of another version', matches: ({ of, difference, ours }) => / (daemonsets|horizontalpodautoscalers)$/.test(of.kind) && difference.path.endsWith('.annotations') && difference.theirs === undefined && /deprecated\.daemonset|autoscaling\.alpha/.test(JSON.stringify(ours)) },
  { line: 'the row of an IPAddress', matches: ({ of, difference }) => of.kind.endsWith(' ipaddresses') && difference.path.endsWith('.cells[2]') && difference.ours === undefined },
  { line: '`/openapi/v3/...`', matches: ({ step, difference }) => step.path.startsWith('/openapi/v3/') && difference.path === 'headers.vary' },
  { line: 'what nodes may read beyond', matches: ({ step, ours, theirs }) => step.method === 'GET' && step.headers?.['impersonate-user']?.startsWith('system:node:') === true && ours['status'] !== 403 && theirs['status'] === 403 },
  { line: 'an element of a list by key that lacks its key', matches: ({ of, difference, ours, theirs }) => of.kind === 'v1 serviceaccounts' && ((difference.path === 'body.metadata.owners' && difference.theirs === undefined && JSON.stringify(of.steps).includes('/secrets/0/name')) || (ours['status'] === 200 && theirs['status'] === 500 && messageOf(theirs).includes('omits all key fields'))) },
  { line: '`Accept` at `/version`', matches: ({ step }) => /^GET, Accept: .*, code alone$/.test(step.form) },
  { line: 'a Binding without a target', matches: ({ step, ours, theirs }) => /\/bindings?$/.test(step.path) && ours['status'] === 400 && theirs['status'] === 500 },
  { line: 'a watch from a revision that is no number', matches: ({ step, ours, theirs }) => step.path.includes('watch=') && step.path.includes('resourceVersion=') && ours['status'] === 400 && theirs['status'] === 500 },
  { line: 'who owns replicas that came by way of a Scale', matches: ({ of, difference, ours, theirs }) => of.steps.some(({ form }) => form.endsWith(' of /scale')) && difference.path.startsWith('body.metadata.owners') && ours['status'] === theirs['status'] && JSON.stringify(ours).includes('f:replicas') },
  { line: 'who owns replicas that came by way of a Scale', matches: ({ of, ours, theirs }) => of.kind === 'oracle.example.com/v1 widgets' && of.steps.some(({ form }) => form.endsWith(' of /scale')) && ours['status'] === 422 && theirs['status'] === 422 && messageOf(ours).replace('spec.size: Required', 'spec: Required') === messageOf(theirs) },
  // `null` in a complaint is what is not kept.
  { line: 'lists that were sent empty', matches: ({ difference, ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && /^body\.(message|details)/.test(difference.path) && messageOf(ours) !== messageOf(theirs) && messageOf(ours).replaceAll(' value: null:', ' value: <none>:') === messageOf(theirs).replaceAll(/ value: (\[\]|\{\}|null):/g, ' value: <none>:') },
  { line: 'lists that were sent empty', matches: ({ of, sent, ours, theirs }) => of.kind !== 'v1 configmaps' && /":(\[\]|\{\})/.test(sent) && Number(ours['status']) < 300 && theirs['status'] === 422 && /immutable|may not change fields|at least one clusterRoleSelector required/.test(messageOf(theirs)) },
  { line: 'lists that were sent empty', matches: ({ of, difference, ours, theirs }) => of.kind === 'storage.k8s.io/v1 csinodes' && JSON.stringify(of.steps).includes('"drivers":[]') && (difference.path.endsWith('.time') || (ours['status'] === 200 && theirs['status'] === 409 && messageOf(theirs).endsWith(': .spec.drivers'))) },
  { line: 'a new CustomResourceDefinition', matches: ({ of, ours, theirs }) => of.kind === 'apiextensions.k8s.io/v1 customresourcedefinitions' && ours['status'] === 422 && theirs['status'] === 422 && unestablished(ours) === unestablished(theirs) },
  { line: 'lists and times that nobody set', matches: ({ of, difference }) => of.kind === 'discovery.k8s.io/v1 endpointslices' && difference.path.startsWith('warnings[') && difference.ours === undefined && String(difference.theirs).includes('unknown field \\"ports\\"') },
  { line: 'lists that were sent empty', matches: ({ of, step, sent, difference }) => step.method !== 'POST' && difference.path === 'body.metadata.generation' && /":(\[\]|\{\}|false|0)/.test(sent + JSON.stringify(of.steps)) },
  { line: 'a `selfLink` that is sent', matches: ({ difference }) => difference.path === 'body.metadata.selfLink' },
  { line: 'who owns `timeAdded`', matches: ({ of, difference }) => of.kind.endsWith(' devicetaintrules') && difference.path.endsWith('.f:timeAdded') },
  { line: 'errors of expressions in an object that has other errors', matches: ({ ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && messageOf(theirs).includes('compilation failed') && !messageOf(ours).includes('compilation failed') },
  { line: '`dryRun` in the query of a deletion that has a body', matches: ({ of }) => of.steps.some(({ method, path, body }) => method === 'DELETE' && typeof path === 'string' && path.includes('dryRun=All') && body !== undefined) },
  { line: 'fields and versions of features that are off', matches: ({ of, sent, ours, theirs }) => of.kind === 'coordination.k8s.io/v1 leases' && /"(strategy|preferredHolder)"/.test(sent) && ours['status'] !== theirs['status'] },
  { line: 'answers to TokenRequests', matches: ({ step, difference }) => step.path.includes('/token') && difference.path === 'body.metadata.owners' && difference.ours === undefined },
  { line: 'complaints about the body of a deletion', matches: ({ step, ours, theirs }) => step.method === 'DELETE' && ours['status'] === 400 && theirs['status'] === 400 && (messageOf(ours).includes(messageOf(theirs)) || messageOf(theirs).startsWith('no kind ')) },
  { line: '`continue` of a list', matches: ({ step, ours, theirs }) => /[?&]continue=/.test(step.path) && messageOf(ours).startsWith('invalid continue token: continue key is not valid: ') && (messageOf(theirs).startsWith('invalid continue token: ') || theirs['status'] === 200 || (theirs['status'] === 410 && messageOf(theirs).startsWith('The provided continue parameter is too old'))) },
  { line: 'a version that is no longer served', matches: ({ ours, theirs }) => ours['status'] === 400 && theirs['status'] === 400 && messageOf(ours).includes('is registered for version') && /^the API version in the data .* does not match the expected/.test(messageOf(theirs)) },
  { line: 'a patch that leaves a custom resource without its apiVersion', matches: ({ step, ours, theirs }) => step.path.includes('/apis/oracle.example.com/') && theirs['status'] === 500 && ours['status'] === 400 && messageOf(theirs).includes("Object 'apiVersion' is missing") },
  { line: 'a custom resource of another kind', matches: ({ step, ours, theirs }) => step.path.includes('/apis/oracle.example.com/') && ((theirs['status'] === 422 && ours['status'] === 400) || (theirs['status'] === 200 && Number(ours['status']) >= 400 && /\/status\b/.test(step.path))) },
  { line: 'a key that is sent twice within the value of a JSON patch', matches: ({ step, sent, ours, theirs }) => step.form.startsWith('JSON patch') && sent.includes('"a":"1","a":"2"') && JSON.stringify(theirs).includes('duplicate field') && JSON.stringify(ours).includes('json patch duplicate field') },
  { line: 'a map that is sent twice', matches: ({ sent, ours, theirs }) => sent.includes('"labels":{"z":"1"},"labels":{"z":"2"},"labels":{') && ours['status'] === theirs['status'] },
  { line: 'fields and versions of features that are off', matches: ({ sent, ours, theirs }) => sent.includes('ignoreStoreReadErrorWithClusterBreakingPotential') && messageOf(ours).includes('cannot be set together with') && theirs['status'] === 200 },
  { line: 'fields and versions of features that are off', matches: ({ step, difference }) => step.isDocument === true && (difference.path === 'status' ? difference.theirs === 404 && OF_GATES.test(step.path) : difference.theirs === undefined && OF_GATES.test(difference.path)) },
  { line: '`x-kubernetes-list-type` of an APIService', matches: ({ step, difference }) => step.isDocument === true && difference.ours === undefined && /allocatedResourceStatuses\.x-kubernetes-map-type$|caBundle\.x-kubernetes-list-type$/.test(difference.path) },
  { line: 'an Eviction that is refused for its deleteOptions', matches: ({ step, difference }) => step.form === 'GET after /eviction' && difference.path === 'body.status.conditions' && difference.ours === undefined },
  { line: '`metadata.generation` of a new object of a kind that has none', matches: ({ step, difference }) => step.method === 'POST' && difference.path === 'body.metadata.generation' && difference.ours === undefined },
  { line: 'a new `metadata.generateName` in an update', matches: ({ step, sent, difference, ours }) => step.method !== 'POST' && sent.includes('generateName') && /^(status|body\.message|body\.details)/.test(difference.path) && ours['status'] !== 500 },
  { line: 'an unknown path, too many requests', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && theirs['body'] === '404 page not found\n' },
  { line: 'a strategic merge patch that cannot be applied', matches: ({ step, ours, theirs }) => step.form.startsWith('strategic') && theirs['status'] === 500 && (ours['status'] === 422 || ours['status'] === 400) },
  { line: 'an applied configuration that is not of its type', matches: ({ step, ours, theirs }) => step.form.startsWith('apply') && theirs['status'] === 500 && ours['status'] === 400 },
  { line: 'a JSON patch that does not apply', matches: ({ step, ours, theirs }) => step.form.startsWith('JSON patch') && theirs['status'] === 422 && ours['status'] === 422 && messageOf(theirs).startsWith('the server rejected our request due to an error in our request') },
  { line: 'a JSON or merge patch whose outcome is not of the kind', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && messageOf(theirs).startsWith(' "" is invalid: patch: Invalid value: ') && tail(messageOf(ours)) === tail(messageOf(theirs)) },
  { line: 'complaints of values of a wrong type', matches: ({ ours, theirs }) => ours['status'] === theirs['status'] && /cannot unmarshal|json: |Go struct field|of type v1|unmarshalerDecoder|cannot convert \w+ to v\d/.test(messageOf(theirs)) },
  { line: 'complaints that the spec of a claim', matches: ({ ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && messageOf(theirs).includes('\n@@ ') && messageOf(ours).endsWith(']') === messageOf(theirs).endsWith(']') },
  { line: 'syntax errors of CEL', matches: ({ ours, theirs }) => isRefused(ours, theirs) && messageOf(theirs).split('Syntax error: ').length > 2 && firstErrors(ours) === firstErrors(theirs) },
  { line: 'errors of expressions in an object that has other errors', matches: ({ ours, theirs }) => isRefused(ours, theirs) && causesOf(theirs).some(({ field }) => field.endsWith('.adminAccess')) && causesOf(ours).length > 0 && JSON.stringify(causesOf(ours)) === withoutAdmin(theirs) },
  { line: 'objects in complaints', matches: ({ difference, ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && /^body\.(message|details)/.test(difference.path) && messageOf(ours) !== messageOf(theirs) && withoutObjects(messageOf(ours)) === withoutObjects(messageOf(theirs)) },
  { line: "the same complaint of an update's metadata and of the kind's own rules", matches: ({ ours, theirs }) => ours['status'] === 422 && theirs['status'] === 422 && distinct(ours) === distinct(theirs) },
]
