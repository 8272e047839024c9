/** DELETE of one object: grace, finalizers and propagation as upstream's generic registry decides them. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { KubeObject } from '#api/types/index.ts'
import type { KeyValue } from '#server/store/store.ts'
import { invalid as invalidField, notSupported, type FieldError } from '../field-error.ts'
import { jsonResponse } from '../http/response.ts'
import { conflict, invalid, notFound, successStatus } from '../http/status.ts'
import { storageKey } from '../storage/keys.ts'
import { admitFully } from './admit.ts'
import { readBody } from './body.ts'
import { scopeOf, type Call } from './call.ts'
import { decideDeletion, type DeletionOptions } from './deletion.ts'
import { decodeHeld, put, readStored, remove, storedResponse, type Full } from './stored.ts'

const ATTEMPTS = 64
/** Resources that answer with what was deleted instead of a Status (upstream's ReturnDeletedObject). */
const RETURNS_OBJECT: ReadonlySet<string> = new Set([
  '/pods', '/services', '/serviceaccounts', '/persistentvolumes', '/persistentvolumeclaims', '/podtemplates', '/resourcequotas',
  ...['deviceclasses', 'devicetaintrules', 'resourceclaims', 'resourceclaimtemplates', 'resourcepoolstatusrequests', 'resourceslices'].map((r) => `resource.k8s.io/${r}`),
  ...['csidrivers', 'csinodes', 'storageclasses', 'volumeattachments', 'volumeattributesclasses'].map((r) => `storage.k8s.io/${r}`),
])

export interface DeleteOptionsBody extends KubeObject {
  gracePeriodSeconds?: number
  propagationPolicy?: string
  orphanDependents?: boolean
  preconditions?: { uid?: string; resourceVersion?: string }
  dryRun?: string[]
  ignoreStoreReadErrorWithClusterBreakingPotential?: boolean
}

const IGNORE_READ_ERROR = 'ignoreStoreReadErrorWithClusterBreakingPotential'

export type { DeletionOptions }

export async function deleteVerb(call: Call): Promise<ApiResponse> {
  return deleteOne(call, parseDeleteOptions(call))
}

/** From the body when there is one, otherwise from the query. */
export function parseDeleteOptions(call: Call): DeletionOptions {
  const { query } = call
  const hasBody = call.body !== undefined && call.body.length > 0
  const body: Omit<DeleteOptionsBody, keyof KubeObject> = hasBody
    ? readBody<DeleteOptionsBody>(call, { model: 'DeleteOptions', expect: { group: '', version: 'v1', kind: 'DeleteOptions' }, validation: 'Ignore', alsoAs: ['meta.k8s.io/v1', 'meta.k8s.io/__internal'] })
    : {
        ...(query.integer('gracePeriodSeconds') !== undefined && { gracePeriodSeconds: query.integer('gracePeriodSeconds') as number }),
        ...(query.text('propagationPolicy') !== '' && { propagationPolicy: query.text('propagationPolicy') }),
        ...(query.has('orphanDependents') && { orphanDependents: query.flag('orphanDependents') }),
        ...(query.flag(IGNORE_READ_ERROR) && { [IGNORE_READ_ERROR]: true }),
        preconditions: { ...(query.text('uid') !== '' && { uid: query.text('uid') }), ...(query.text('resourceVersion') !== '' && { resourceVersion: query.text('resourceVersion') }) },
        dryRun: query.all('dryRun'),
      }
  return deletionOptions(body, [...(body.dryRun ?? []), ...(hasBody ? query.all('dryRun').filter((v) => v !== '') : [])])
}

/** What is asked for, or upstream's refusal of it. */
export function deletionOptions(body: Omit<DeleteOptionsBody, keyof KubeObject>, dryRuns: readonly string[]): DeletionOptions {
  const policy = body.propagationPolicy ?? undefined
  const errors: FieldError[] = []
  if (policy !== undefined && body.orphanDependents !== undefined) errors.push(invalidField('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'))
  if (policy !== undefined && policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') errors.push(notSupported('propagationPolicy', policy, ['Foreground', 'Background', 'Orphan', 'nil']))
  if (dryRuns.some((value) => value !== 'All')) errors.push(notSupported('dryRun', dryRuns, ['All']))
  if (body.ignoreStoreReadErrorWithClusterBreakingPotential === true) {
    const others = { dryRun: dryRuns.length > 0, propagationPolicy: policy !== undefined, orphanDependents: body.orphanDependents !== undefined, gracePeriodSeconds: body.gracePeriodSeconds !== undefined, preconditions: Object.keys(body.preconditions ?? {}).length > 0 }
    for (const [name, isSet] of Object.entries(others)) if (isSet) errors.push(invalidField(IGNORE_READ_ERROR, true, `cannot be set together with .${name}`))
  }
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors)
  return {
    dryRun: dryRuns.length > 0,
    graceSeconds: graceOf(body.gracePeriodSeconds),
    policy: (policy as DeletionOptions['policy']) ?? (body.orphanDependents === undefined ? undefined : body.orphanDependents ? 'Orphan' : 'Background'),
    preconditions: body.preconditions ?? {},
    ...(typeof body.orphanDependents === 'boolean' && { orphanDependents: body.orphanDependents }),
  }
}

/** Upstream: below zero means one second. */
export const graceOf = (seconds: number | undefined): number | undefined => (seconds !== undefined && seconds < 0 ? 1 : seconds)

export interface Deleted { object: Full; value: Buffer; revision: number; /** It is gone, not merely going. */ gone: boolean }

export async function deleteOne(call: Call, options: DeletionOptions): Promise<ApiResponse> {
  warnOfOrphans(call, options)
  const done = await deleteObject(call, options)
  if (done.gone && !RETURNS_OBJECT.has(`${call.row.ref.group}/${call.row.ref.resource}`)) return jsonResponse(successStatus(call.row.ref, call.info.name, done.object.metadata.uid))
  // Upstream says so of nothing else that is on its way.
  return storedResponse(call.row, done.value, done.revision, !done.gone && options.orphanDependents === false ? 202 : 200)
}

export function warnOfOrphans(call: Call, { policy }: DeletionOptions): void {
  const warning = call.row.strategy.orphansByDefault?.warning
  if (warning !== undefined && policy === undefined) call.warn(warning)
}

/** `admit` false: the caller has asked admission by itself, about something else (an Eviction). */
export async function deleteObject(call: Call, options: DeletionOptions, how = { admit: true }): Promise<Deleted> {
  const { row, info, parts } = call
  const key = storageKey(scopeOf(row), info.namespace, info.name)
  let kv = await readStored(parts, row, key)
  for (let attempt = 1; ; attempt++) {
    if (!kv) throw notFound(row.ref, info.name)
    const old = decodeHeld(row, kv)
    assertPreconditions(call, old, options)
    if (attempt === 1 && how.admit) {
      await admitFully(call, { operation: 'DELETE', name: info.name, object: undefined, old, options: sentOptions(options), dryRun: options.dryRun })
    }
    const done = await tryDelete(call, kv, old, options)
    if ('object' in done) return done
    if (attempt === ATTEMPTS) throw conflict(row.ref, info.name)
    kv = done.current
  }
}

function sentOptions({ dryRun, graceSeconds, policy, preconditions, orphanDependents }: DeletionOptions): KubeObject {
  return {
    kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1', ...(graceSeconds !== undefined && { gracePeriodSeconds: graceSeconds }), ...(Object.keys(preconditions).length > 0 && { preconditions }),
    ...(orphanDependents !== undefined ? { orphanDependents } : policy !== undefined && { propagationPolicy: policy }), ...(dryRun && { dryRun: ['All'] }),
  } as KubeObject
}

async function tryDelete(call: Call, kv: KeyValue, old: Full, options: DeletionOptions): Promise<Deleted | { current: KeyValue | undefined }> {
  const decision = decideDeletion(call.row, decodeHeld(call.row, kv), options, call.parts.clock.nowMs())
  if (decision.kind === 'keep') return { object: old, value: kv.value, revision: kv.modRevision, gone: false }
  if (decision.kind === 'mark') {
    const written = await put(call, kv.key, decision.object, kv, options.dryRun)
    return written.ok ? { object: decision.object, value: written.value, revision: written.revision, gone: false } : { current: written.current }
  }
  if (decision.marked) return markAndRemove(call, kv, decision.marked, options.dryRun)
  const gone = await remove(call, kv, old, options.dryRun)
  return gone.ok ? { object: old, value: kv.value, revision: gone.revision, gone: true } : { current: gone.current }
}

/** Watchers see that it goes before it is gone, and in what is gone they see it, too. */
async function markAndRemove(call: Call, kv: KeyValue, marked: Full, dryRun: boolean): Promise<Deleted | { current: KeyValue | undefined }> {
  const written = await put(call, kv.key, marked, kv, dryRun)
  if (!written.ok) return { current: written.current }
  if (dryRun) return { object: marked, value: written.value, revision: written.revision, gone: true }
  const over = { ...kv, value: written.value, modRevision: written.revision }
  for (let held = over, attempt = 1; ; attempt++) {
    const gone = await remove(call, held, marked, false)
    if (gone.ok) return { object: marked, value: held.value, revision: gone.revision, gone: true }
    // Somebody else has ended it; what is there now under its name is another one.
    if (gone.current?.createRevision !== kv.createRevision) return { object: marked, value: held.value, revision: held.modRevision, gone: true }
    if (attempt === ATTEMPTS) throw conflict(call.row.ref, call.info.name)
    held = gone.current
  }
}

export function assertPreconditions(call: Call, old: Full, { preconditions }: DeletionOptions): void {
  const { uid, resourceVersion } = old.metadata
  const { row: { ref }, info } = call
  // Upstream names the kind here, where other conflicts name the resource.
  const of = { group: ref.group, resource: ref.kind }
  if (preconditions.uid !== undefined && preconditions.uid !== uid) throw conflict(of, info.name, `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid ?? ''}). The object might have been deleted and then recreated`)
  if (preconditions.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion) {
    throw conflict(of, info.name, `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion ?? ''}). The object might have been modified`)
  }
}
