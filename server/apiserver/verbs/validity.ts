/** Runs a row's rules (those of metadata are among them, see registry.ts); any error is one 422 with all causes. */
import { invalid } from '../http/status.ts'
import { invalid as invalidField, type FieldError } from '../field-error.ts'
import { contextOf, type Call } from './call.ts'
import type { Full } from './stored.ts'

export function assertCreatable(call: Call, object: Full): void {
  refuseAny(call, object, call.row.strategy.validate?.(object, contextOf(call)))
}

/** `status`: only the rules of the status subresource. */
export function assertUpdatable(call: Call, object: Full, old: Full, part: 'main' | 'status'): void {
  const { strategy } = call.row
  refuseAny(call, object, part === 'status' ? strategy.validateStatusUpdate?.(object, old, contextOf(call)) : strategy.validateUpdate?.(object, old, contextOf(call)))
  // Whatever its kind has rules for: an object stays the one it is.
  if (object.metadata.uid !== old.metadata.uid) throw invalid(call.row.ref, call.info.name, [invalidField('metadata.uid', object.metadata.uid, 'field is immutable')])
}

/** Kinds whose PUTs must say which state they are meant for. */
export function assertRevision(call: Call, object: Full): void {
  const { resourceVersion } = object.metadata
  if (!call.row.strategy.requiresRevision || (resourceVersion && resourceVersion !== '0')) return
  const { group, resource } = call.row.ref
  // Said of the resource, before its kind has a say.
  throw invalid({ group, kind: resource }, object.metadata.name ?? '', [invalidField('metadata.resourceVersion', 0, 'must be specified for an update')])
}

export function refuseAny(call: Call, object: Full, errors: readonly FieldError[] | undefined): void {
  if (!errors || errors.length === 0) return
  // A kind that two groups have (Event) is complained of as the group's that keeps it.
  const { ref, storedAs } = call.row
  throw invalid({ group: storedAs?.ref.group ?? ref.group, kind: ref.kind }, object.metadata.name ?? '', errors)
}
