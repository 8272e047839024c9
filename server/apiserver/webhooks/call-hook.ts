/** One call of one admission webhook: the review is sent, the answer checked, its annotations and warnings passed on. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import { uuid, type Random } from '#base/random.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import { badRequest, outcomeUnknown, StatusError } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { parseBoundedJson, targetOf, type ClientConfig, type WebhookClient, type WebhookIdentities } from '../webhook-client/index.ts'
import type { Invocation } from './request-fields.ts'
import { parseReview, rejection, reviewRequest, type Answer } from './review.ts'
import type { WebhookMetrics } from './webhook-metrics.ts'

export type Outcome =
  /** `patch`: of JSON patch operations, empty when nothing is to change. */
  | { kind: 'allowed'; answer: Answer; patch: readonly unknown[] }
  /** The webhook said no, or may not be asked (dry run): the client is told so. */
  | { kind: 'rejected'; error: StatusError }
  /** It could not be asked: what then happens is its failurePolicy. `message` begins with `failed calling webhook`. */
  | { kind: 'failed'; message: string }

export interface HookCaller { webhooks: WebhookClient; random: Random; clock: Clock; metrics: WebhookMetrics; /** Who this server is to webhooks; undefined: nobody in particular. */ identities?: WebhookIdentities | undefined }

const LATE = 'request did not complete within requested timeout'
const isLate = ({ dueMs }: AdmissionApi, nowMs: number): boolean => dueMs !== undefined && dueMs <= nowMs

const HARMLESS: ReadonlySet<string> = new Set(['None', 'NoneOnDryRun'])

/** Throws when the request has run out of time: it must not go on without a webhook for that, whatever its failurePolicy. */
export async function callHook(caller: HookCaller, invocation: Invocation, own: KindRow, request: AdmissionRequest, api: AdmissionApi, mutating: boolean): Promise<Outcome> {
  const startMs = caller.clock.monotonicMs()
  if (isLate(api, startMs)) throw outcomeUnknown(LATE)
  const outcome = await call(caller, invocation, own, request, api, mutating)
  const { name, failsOpen } = invocation.hook
  const code = outcome.kind === 'rejected' ? outcome.error.body.code : outcome.kind === 'failed' ? 500 : 200
  caller.metrics.called(name, mutating ? 'admit' : 'validating', request.operation, { kind: outcome.kind, failsOpen, code }, (caller.clock.monotonicMs() - startMs) / 1000)
  if (outcome.kind === 'failed' && failsOpen && isLate(api, caller.clock.monotonicMs())) throw outcomeUnknown(LATE)
  return outcome
}

async function call(caller: HookCaller, invocation: Invocation, own: KindRow, request: AdmissionRequest, api: AdmissionApi, mutating: boolean): Promise<Outcome> {
  const { hook } = invocation
  const failed = (because: string): Outcome => ({ kind: 'failed', message: `failed calling webhook ${JSON.stringify(hook.name)}: ${because}` })
  if (request.dryRun && hook.sideEffects === '') return failed('Webhook SideEffects is nil')
  if (request.dryRun && !HARMLESS.has(hook.sideEffects)) return { kind: 'rejected', error: badRequest(`admission webhook ${JSON.stringify(hook.name)} does not support dry run`) }
  const { reviewVersion: version } = hook
  if (version === undefined) return failed('could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)')
  const uid = uuid(caller.random)
  let value: unknown
  try {
    const identity = caller.identities?.(...placeOf(hook.client))
    value = await caller.webhooks.call({ config: hook.client, ...(identity && { identity }), body: reviewRequest(invocation, own, request, uid), timeoutMs: timeoutMs(hook.timeoutMs, api.dueMs, caller.clock.monotonicMs()), tellTimeout: true, signal: api.signal })
  } catch (error) {
    return failed(`failed to call webhook: ${asError(error).message}`)
  }
  const parsed = parseReview(value, { uid, version, mutating })
  if (!parsed.ok) return failed(`received invalid webhook response: ${parsed.message}`)
  const { answer } = parsed
  for (const [key, text] of Object.entries(answer.auditAnnotations)) api.annotate(`${hook.name}/${key}`, text)
  for (const warning of answer.warnings) api.warn(warning)
  if (!answer.allowed) return { kind: 'rejected', error: new StatusError(rejection(hook.name, answer.status)) }
  const patch = answer.patch === undefined ? [] : parseBoundedJson(Buffer.from(answer.patch))
  return Array.isArray(patch) ? { kind: 'allowed', answer, patch: patch as unknown[] } : failed('received undecodable patch in webhook response: it is no JSON list of operations')
}

/** Its own, or what is left of the request's. */
const timeoutMs = (ownMs: number, dueMs: number | undefined, nowMs: number): number => (dueMs === undefined ? ownMs : Math.min(ownMs, dueMs - nowMs))

function placeOf(config: ClientConfig): [host: string, port: number] {
  const { target: { host, port } } = targetOf(config)
  return [host, port]
}
