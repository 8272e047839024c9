/**
 * Sends made-up requests to the API's handler over the memory store, and looks at nothing but whether it survives: no
 * 500, no answer that never comes, no error in its log. A round has its own seed and its own server, so any round can be
 * run again by itself.
 */
import { collect } from '#api/client/body.ts'
import { isBodyStream, type ApiResponse } from '#api/client/transport.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { asError } from '#base/errors.ts'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { defaultAdmission } from '#server/apiserver/admission/index.ts'
import { ServiceAllocator } from '#server/apiserver/allocators/service-allocator.ts'
import { ADMIN, harness } from '#server/apiserver/app.test-support.ts'
import type { KindRow } from '#server/apiserver/kind.ts'
import { rows, withAllocators } from '#server/apiserver/registry.ts'
import { reviewRows } from '#server/apiserver/reviews/rows.ts'
import { Chance } from './chance.ts'
import { makeRequest, type FuzzRequest, type Known } from './requests.ts'
import { VALID } from './valid.ts'

export interface Failure { seed: number; index: number; why: string; request: FuzzRequest; logged: readonly string[] }

/** One request of real time: far longer than the slowest takes. */
const REQUEST_MS_MAX = 3_000
/** A request may wait for as much of the server's own time as this. */
const WAIT_MS_MAX = 120_000
/** Codes above 499 that are answers: not implemented, nobody there, not in time. */
const SERVER_CODES: ReadonlySet<number> = new Set([501, 502, 503, 504])
const CORPUS_MAX = 60
const LEARNED_BYTES_MAX = 20_000
/** 500s that upstream gives on purpose: /scale of a custom resource that has no replicas, creations that name a revision. */
const AS_UPSTREAM = /the spec replicas field .* does not exist|resourceVersion should not be set on objects to be created/
/** What is written here makes the server ask others, whose failures are 500s by design. */
const ASKS_OTHERS: ReadonlySet<string> = new Set(['mutatingwebhookconfigurations', 'validatingwebhookconfigurations', 'apiservices', 'mutatingadmissionpolicybindings', 'validatingadmissionpolicybindings'])

/** Undefined: the server survived. `seen` is told of each answer. */
export async function fuzzRound(seed: number, requests: number, signal?: AbortSignal, seen?: (request: FuzzRequest, answer: ApiResponse) => void): Promise<Failure | undefined> {
  const chance = new Chance(seed)
  const clock = new FakeClock()
  const random = seededRandom(seed)
  const logged: string[] = []
  const known: KindRow[] = withAllocators(rows, { services: new ServiceAllocator({ serviceCidr: '10.43.0.0/16', random }) })
  const { api, call } = harness({
    clock, random, rows: known, admission: chance.oneIn(3) ? defaultAdmission({ clock, random }) : [],
    // What the server calls an error must not happen.
    log: createLog({ format: 'text', level: 'error', nowMs: () => clock.nowMs(), write: (line) => logged.push(line) }),
  })
  try {
    await call('POST', '/api/v1/namespaces', { metadata: { name: 'default' } })
    await call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } })
    const all = [...known, ...reviewRows]
    const corpus: Known[] = []
    for (const [collection, object] of VALID) {
      // A definition is served a moment after it was accepted.
      let created = await call('POST', collection, object)
      for (let turn = 0; created.status === 404 && turn < 20; turn++) {
        await clock.advance(100)
        created = await call('POST', collection, object)
      }
      const { status, json, text } = created
      if (status !== 201) throw new Error(`bug in the fuzzer: ${collection} refused: ${text}`)
      corpus.push({ path: `${collection}/${String(json['metadata']?.['name'])}`, object: json })
    }
    for (let index = 0; index < requests && !signal?.aborted; index++) {
      const request = makeRequest(chance, all, corpus, ({ ref }) => ASKS_OTHERS.has(ref.resource))
      const { why, answer } = await survives((r) => api.handle(r), request, clock)
      if (answer) seen?.(request, answer)
      if (answer) learn(chance, corpus, request, answer)
      if (why !== undefined || logged.length > 0) return { seed, index, why: why ?? 'it logged an error', request, logged }
    }
    return undefined
  } finally {
    api.close()
  }
}

type Handle = ReturnType<typeof harness>['api']['handle']

async function survives(handle: Handle, request: FuzzRequest, clock: FakeClock): Promise<{ why: string | undefined; answer?: ApiResponse | undefined }> {
  const gone = new AbortController()
  const startMs = performance.now()
  const state: { answer?: ApiResponse; error?: Error } = {}
  void handle({ ...request, signal: gone.signal, peer: { user: ADMIN } }).then(async (answer) => {
    const read = isBodyStream(answer.body) ? new Promise<void>((end) => { if (isBodyStream(answer.body)) answer.body.start({ write: () => true, onDrain() { /* never full */ }, end, fail: () => end() }) }) : collect(answer.body)
    if (isBodyStream(answer.body)) gone.abort()
    await read
    state.answer = answer
  }).catch((error: unknown) => { state.error = asError(error) })
  for (let waitedMs = 0; state.answer === undefined && state.error === undefined; ) {
    for (let turn = 0; turn < 50 && state.answer === undefined && state.error === undefined; turn++) await new Promise<void>((next) => { setImmediate(next) })
    if (state.answer !== undefined || state.error !== undefined) break
    if (waitedMs > WAIT_MS_MAX) return { why: 'no answer' }
    await clock.advance(500)
    waitedMs += 500
  }
  gone.abort()
  if (state.error !== undefined) return { why: `the handler rejected: ${state.error.stack}` }
  const tookMs = performance.now() - startMs
  if (tookMs > REQUEST_MS_MAX) return { why: `it took ${Math.round(tookMs)} ms` }
  const status = state.answer?.status ?? 0
  const isFault = status >= 500 && !SERVER_CODES.has(status) && !AS_UPSTREAM.test(await textOf(state.answer))
  return { why: isFault ? `status ${status}: ${await textOf(state.answer)}` : undefined, answer: state.answer }
}

/** What was accepted is a better beginning than what was made up. */
function learn(chance: Chance, corpus: Known[], { method, path }: FuzzRequest, { status, headers, body }: ApiResponse): void {
  if ((status !== 200 && status !== 201) || method === 'DELETE' || headers['content-type'] !== 'application/json' || isBodyStream(body)) return
  const text = (Buffer.isBuffer(body) ? body : Buffer.concat(body)).toString()
  if (text.length > LEARNED_BYTES_MAX) return
  const [at = ''] = path.split('?', 1)
  const object = (text === '' ? {} : JSON.parse(text)) as Known['object']
  const name = (object['metadata'] as Known['object'] | undefined)?.['name']
  if (typeof name !== 'string' || object['kind'] === 'Table') return
  const known = { path: method === 'POST' ? `${at}/${name}` : at, object }
  if (corpus.length < CORPUS_MAX) corpus.push(known)
  else corpus[chance.int(corpus.length)] = known
}

async function textOf(answer: ApiResponse | undefined): Promise<string> {
  return answer && !isBodyStream(answer.body) ? (await collect(answer.body)).toString('utf8', 0, 2_000) : ''
}

/** For people, and for pasting into a bug report. */
export function printFailure({ seed, index, why, request, logged }: Failure): string {
  const body = request.body === undefined ? '' : `\n  body (base64) ${request.body.toString('base64').slice(0, 20_000)}\n  body ${JSON.stringify(request.body.toString().slice(0, 3_000))}`
  return `request ${index} of the round with seed ${seed}: ${why}\n  ${request.method} ${JSON.stringify(request.path)}\n  headers ${JSON.stringify(request.headers)}${body}${logged.map((line) => `\n  log ${line}`).join('')}\nagain: scripts/fuzz.sh 60 ${seed}`
}
