/** POST on a collection. */
import type { ApiResponse } from '#api/client/transport.ts'
import { nameSuffix, uuid } from '#base/random.ts'
import type { KeyValue } from '#server/store/store.ts'
import { alreadyExists, forbidden, generateNameClash, unexplained, type StatusError } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { authorizeResource } from '../middleware/authorize.ts'
import { cloneJson } from '../storage/clone.ts'
import { storageKey } from '../storage/keys.ts'
import { timestamp } from '../storage/object-meta.ts'
import { admit } from './admit.ts'
import { readObject } from './body.ts'
import { contextOf, scopeOf, type Call } from './call.ts'
import { ownFields } from './managed-fields.ts'
import { admissionOptions, parseWriteOptions, type WriteOptions } from './options.ts'
import { dropRepeatedOwners } from './owner-references.ts'
import { reserve } from './reserve.ts'
import { decodeHeld, put, storedResponse, type Full, type Written } from './stored.ts'
import { assertCreatable } from './validity.ts'

/** Attempts at a free generated name; upstream's number. */
const GENERATE_ATTEMPTS = 8
/** A generated name keeps this much of its prefix: 63 minus the suffix. */
const PREFIX_LENGTH_MAX = 58

export async function create(call: Call): Promise<ApiResponse> {
  const options = parseWriteOptions(call, 'CreateOptions')
  return insert(call, readObject(call, options.fieldValidation), options, 'Update')
}

/** Also the second half of an apply or update that finds nothing there. `object` is taken over. */
export async function insert(call: Call, object: Full, options: WriteOptions, how: 'Update' | 'Apply'): Promise<ApiResponse> {
  const { row, info } = call
  const meta = object.metadata
  if (row.custom?.isTerminating) throw forbidden(row.ref, meta.name ?? '', 'create not allowed while custom resource definition is terminating')
  // What ends objects is not for creations to say: nobody owns it.
  for (const key of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink'] as const) delete meta[key]
  row.strategy.defaults?.(object)
  dropRepeatedOwners(call, meta, false)
  if (how === 'Update') ownFields(call, undefined, object, options)
  const admission = { operation: 'CREATE', object, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun: options.dryRun } as const
  // Mutators see defaults and the namespace in place, but no generated name yet, as upstream.
  await admit(call, 'mutate', { ...admission, name: meta.name ?? '' })
  dropRepeatedOwners(call, meta, true)
  const generates = !meta.name && !!meta.generateName
  if (generates) meta.name = generatedName(call, meta.generateName ?? '')
  freshMeta(call, object)
  for (const text of row.strategy.warningsAsSent?.(object) ?? []) call.warn(text)
  row.strategy.prepareCreate?.(object, contextOf(call))
  assertCreatable(call, object)
  for (const text of row.strategy.warnings?.(object) ?? []) call.warn(text)
  // Who may change what is there may not make what is not.
  if (call.verb !== 'create') await authorizeResource(call.parts.authorizer, call.user, 'create', info)
  await admit(call, 'validate', { ...admission, name: meta.name ?? '' })
  // Upstream's storage says so, which is asked last: policies are heard before, a dry run never gets there.
  if (/^0*[1-9]\d*$/.test(meta.resourceVersion ?? '') && !options.dryRun) throw unexplained('resourceVersion should not be set on objects to be created')
  if (!row.allocator && !generates) return settle(call, meta.name ?? '', put(call, storageKey(scopeOf(row), info.namespace, meta.name ?? ''), object, undefined, options.dryRun))
  // Without what the allocator fills in, for another attempt.
  const bare = row.allocator && cloneJson(object)
  let wanted = object
  let reservation = reserve(call, wanted, undefined, options.dryRun)
  try {
    for (let attempt = 1; ; attempt++) {
      const name = wanted.metadata.name ?? ''
      const written = await put(call, storageKey(scopeOf(row), info.namespace, name), wanted, undefined, options.dryRun, reservation.also)
      if (written.ok) {
        reservation.commit()
        return storedResponse(row, written.value, written.revision, 201)
      }
      if (written.lost !== undefined) row.allocator?.lost?.(written.lost)
      else if (!generates) throw existsAlready(row, name, written.current)
      if (attempt === GENERATE_ATTEMPTS) throw generateNameClash(row.ref, name)
      reservation.rollback()
      if (bare) wanted = cloneJson(bare)
      if (generates) wanted.metadata.name = generatedName(call, wanted.metadata.generateName ?? '')
      if (bare) reservation = reserve(call, wanted, undefined, options.dryRun)
    }
  } finally {
    reservation.rollback()
  }
}

/** Waits for the disk, as that of change.ts without the object: there is no other attempt. */
async function settle({ row }: Call, name: string, writing: Promise<Written>): Promise<ApiResponse> {
  const written = await writing
  if (!written.ok) throw existsAlready(row, name, written.current)
  return storedResponse(row, written.value, written.revision, 201)
}

function existsAlready(row: KindRow, name: string, current: KeyValue | undefined): StatusError {
  return alreadyExists(row.ref, name, current !== undefined && decodeHeld(row, current).metadata.deletionTimestamp !== undefined)
}

function generatedName(call: Call, prefix: string): string {
  return `${prefix.slice(0, PREFIX_LENGTH_MAX)}${nameSuffix(call.parts.random)}`
}

/** What the system alone fills in. */
function freshMeta(call: Call, object: Full): void {
  const meta = object.metadata
  meta.uid = uuid(call.parts.random)
  meta.creationTimestamp = timestamp(call.parts.clock.nowMs())
  if (call.row.strategy.generation === false) delete meta.generation
  else meta.generation = 1
}
