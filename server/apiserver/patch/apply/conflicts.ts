/** Conflicts between appliers and other owners, in upstream's words. */
import { pathsOf, type FieldSet } from './field-set.ts'
import { pathText } from './path-element.ts'
import type { Owner } from './managed-fields.ts'

export interface Conflict { owner: Owner; fields: FieldSet }
export interface ConflictCause { reason: 'FieldManagerConflict'; message: string; field: string }

/** `"kubectl" using apps/v1 at 2026-01-01T00:00:00Z`; identities carry no time, so there is none. */
function ownerText({ manager, operation, apiVersion, subresource }: Owner): string {
  const name = JSON.stringify(manager) + (subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`)
  return operation === 'Update' ? `${name} using ${apiVersion}` : name
}

/** What upstream knows an owner by, and sorts them by. */
const identityText = ({ manager, operation, apiVersion, subresource }: Owner): string =>
  JSON.stringify({ manager, operation, ...(operation === 'Update' && { apiVersion }), ...(subresource !== '' && { subresource }) })

export function conflictStatus(conflicts: readonly Conflict[]): { message: string; causes: ConflictCause[] } {
  const listed = conflicts
    .toSorted((a, b) => (identityText(a.owner) < identityText(b.owner) ? -1 : 1))
    .map(({ owner, fields }) => ({ owner: ownerText(owner), fields: pathsOf(fields).map(pathText) }))
  const causes = listed.flatMap(({ owner, fields }) => fields.map((field): ConflictCause => ({ reason: 'FieldManagerConflict', message: `conflict with ${owner}`, field })))
  const first = causes[0]
  if (causes.length === 1 && first) return { message: `Apply failed with 1 conflict: ${first.message}: ${first.field}`, causes }
  const lines = listed.flatMap(({ owner, fields }) => [`conflicts with ${owner}:`, ...fields.map((field) => `- ${field}`)])
  return { message: `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`, causes }
}
