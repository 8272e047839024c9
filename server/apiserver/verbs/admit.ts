/** Runs the admission plugins of a phase in order; the first refusal ends it. */
import { builtinSchema } from '#api/schema/index.ts'
import type { KubeObject } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionRequest, GroupVersionKind, Refusal, Reinvocation } from '../admission.ts'
import { decodeValue } from '../decode/index.ts'
import { forbidden, qualified, StatusError } from '../http/status.ts'
import { managedFieldsProblem } from '../patch/apply/managed-fields.ts'
import { cloneJson } from '../storage/clone.ts'
import { equalJson } from '../storage/equal.ts'
import { typesOf, type Call } from './call.ts'

export interface Admission {
  operation: AdmissionRequest['operation']
  /** metadata.name may still be empty with generateName. */
  name: string
  object: KubeObject | undefined
  old: KubeObject | undefined
  options: KubeObject | undefined
  dryRun: boolean
  /** What the objects are when they are not of the row's kind; `model` undefined: nothing is known of its fields. */
  as?: GroupVersionKind & { model: string | undefined }
}

/** Made for each phase of each write: most have nobody who remembers anything. */
class Round implements Reinvocation {
  isSecond = false
  again = false
  #memory: Map<string, unknown> | undefined

  get memory(): Map<string, unknown> { return (this.#memory ??= new Map()) }
  request(): void { this.again = true }
}

export async function admit(call: Call, phase: 'mutate' | 'validate', admission: Admission): Promise<void> {
  const { as, ...given } = admission
  const { group, version, kind } = as ?? call.row.ref
  const round = new Round()
  const request: AdmissionRequest = {
    ...given, verb: call.verb, ref: call.row.ref, kind: { group, version, kind }, subresource: call.info.subresource, namespace: call.info.namespace, user: call.user, reinvocation: round,
  }
  const api: AdmissionApi = {
    client: call.parts.client, authorizer: call.parts.authorizer, rows: call.parts.rows, signal: call.signal, dueMs: call.dueMs,
    warn: (text) => call.warn(text), annotate: (key, value, level) => call.annotate(key, value, level),
    replace: (value) => replace(call, request, as, value),
  }
  await runAll(call, phase, request, api)
  if (!round.again || phase === 'validate') return
  round.isSecond = true
  await runAll(call, phase, request, api)
}

/** For what is admitted as a whole before anything is prepared: connections, and subresources that are actions. */
export async function admitFully(call: Call, admission: Admission): Promise<void> {
  await admit(call, 'mutate', admission)
  await admit(call, 'validate', admission)
}

async function runAll(call: Call, phase: 'mutate' | 'validate', request: AdmissionRequest, api: AdmissionApi): Promise<void> {
  const { clock, metrics } = call.parts
  const plan = metrics.admission.plan(call.parts.admission, phase, request.operation)
  const begunMs = clock.monotonicMs()
  let atMs = begunMs
  let isAdmitted = false
  try {
    for (const step of plan.steps) {
      const answer = step.run(request, api)
      // Most have nothing to say about most requests, and say so at once: that takes no time worth a look at the clock.
      if (!answer) {
        step.admitted.observe(0)
        continue
      }
      const refusal = await answer
      const nowMs = clock.monotonicMs()
      const series = refusal ? step.rejected() : step.admitted
      series.observe((nowMs - atMs) / 1000)
      atMs = nowMs
      if (refusal) throw refusalError(call, nameIn(request), refusal)
    }
    isAdmitted = true
  } finally {
    const series = isAdmitted ? plan.admitted : plan.rejected()
    series.observe((clock.monotonicMs() - begunMs) / 1000)
  }
}

/** As upstream's messages name what has no name yet. */
function nameIn({ name, object }: AdmissionRequest): string {
  return name || (object?.metadata?.name ?? '') || (object?.metadata?.generateName ?? '')
}

function replace(call: Call, { kind, object }: AdmissionRequest, as: Admission['as'], value: unknown): ReturnType<AdmissionApi['replace']> {
  if (!object) return { ok: false, message: 'there is no object to change' }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { ok: false, message: 'json: cannot unmarshal a value that is no object' }
  const model = as ? as.model : call.row.model
  const copy = cloneJson(value) as Record<string, unknown>
  const decoded = model === undefined ? { ok: true as const, object: copy as KubeObject } : decodeValue(copy, { schema: as ? builtinSchema : typesOf(call.row), model, expect: kind, strictness: 'Ignore', conform: as ? undefined : call.row.custom?.conform })
  if (!decoded.ok) return { ok: false, message: decoded.message }
  const wanted = decoded.object
  wanted.metadata ??= {}
  if (!as) call.row.strategy.defaults?.(wanted)
  keepManagedFields(call, wanted, object)
  if (equalJson(wanted, object)) return { ok: true, changed: false }
  become(object, wanted)
  return { ok: true, changed: true }
}

/** Who does not know managedFields may spoil them; the object is not refused for that (fieldmanager's validating admission controller). */
function keepManagedFields(call: Call, { metadata: wanted = {} }: KubeObject, { metadata: before }: KubeObject): void {
  const problem = equalJson(wanted.managedFields, before?.managedFields) ? undefined : managedFieldsProblem(wanted.managedFields)
  if (problem === undefined) return
  if (before?.managedFields) wanted.managedFields = before.managedFields
  else delete wanted.managedFields
  call.warn(`.metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating admission controller; please fix your requests: ${problem}`)
}

/** Verbs hold on to the object and its metadata: both stay the same things with other contents. */
function become(object: KubeObject, wanted: KubeObject): void {
  const metadata = object.metadata ?? {}
  refill(metadata, wanted.metadata ?? {})
  refill(object, { ...wanted, metadata })
}

function refill(target: object, contents: object): void {
  for (const key of Object.keys(target)) if (!(key in contents)) Reflect.deleteProperty(target, key)
  Object.assign(target, contents)
}

function refusalError(call: Call, name: string, refusal: Refusal): StatusError {
  const { about, causes, ...status } = refusal
  const of = about ?? { group: call.row.ref.group, resource: call.row.ref.resource, name }
  const isBare = refusal.code === 403 && !refusal.message.includes('is forbidden')
  const body = isBare ? forbidden(of, of.name, refusal.message).body : { ...status, message: refusal.message === '' ? `${qualified(of)} "${of.name}" was refused` : refusal.message }
  const details = { ...(of.name !== '' && { name: of.name }), ...(of.group !== '' && { group: of.group }), kind: of.resource, ...(causes && { causes }), ...(refusal.code === 429 && { retryAfterSeconds: 1 }) }
  return new StatusError({ ...body, details })
}
