/** What a list, watch or deletecollection is about: one name, a namespace, labels, fields, a shard. */
import type { KubeObject } from '#api/types/index.ts'
import { parseFieldSelector, requiredFieldValue, type FieldMatcher } from '#api/types/field-selector.ts'
import { parseLabelSelector, type LabelMatcher } from '#api/types/labels.ts'
import { badRequest } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import type { Entry } from './kind-cache.ts'
import { inShard, parseShardSelector } from './shard.ts'

export interface Selection {
  namespace: string
  labels: LabelMatcher
  fields: FieldMatcher
  /** Undefined: no selector at all, everything of the namespace. */
  matches: ((entry: Entry) => boolean) | undefined
  /** The selectors pin one name: a list is one look-up. */
  name: string | undefined
  /** The shard selector as given; '' when there is none. */
  shard: string
}

/** As the query has them; '' for what it does not. */
export interface Selectors { labels: string; fields: string; shard: string }

/** Longer selectors are refused before they are read. */
const SELECTOR_LENGTH_MAX = 128 * 1024

/** Throws a 400 for selectors that are malformed or name fields the kind does not offer. */
export function parseSelection(row: KindRow, namespace: string, { labels: labelText, fields: fieldText, shard }: Selectors): Selection {
  if (labelText.length > SELECTOR_LENGTH_MAX || fieldText.length > SELECTOR_LENGTH_MAX) throw badRequest(`a selector is longer than ${SELECTOR_LENGTH_MAX} characters`)
  const labels = parseLabelSelector(labelText)
  if (!labels.ok) throw badRequest(labels.message)
  const fields = parseFieldSelector(fieldText)
  if (!fields.ok) throw badRequest(fields.message)
  for (const { field } of fields.selector.terms) {
    if (!offersField(row, field)) throw badRequest(unknownField(row, field))
  }
  const shards = parseShardSelector(shard)
  if (!shards.ok) throw badRequest(`invalid shardSelector: ${shards.message}`)
  const { ranges } = shards
  const read = fieldReader(row)
  const byLabel = labels.selector.requirements.length > 0
  const byField = fields.selector.terms.length > 0
  return {
    namespace, labels: labels.selector, fields: fields.selector, name: requiredFieldValue(fields.selector, 'metadata.name'), shard: ranges.length > 0 ? shard : '',
    matches: byLabel || byField || ranges.length > 0
      ? (entry) => (!byLabel || labels.selector.matches(entry.labels)) && (!byField || fields.selector.matches((f) => read(entry, f))) && inShard(ranges, entry)
      : undefined,
  }
}

/** Kinds without fields of their own offer their namespace even where they have none. */
function offersField({ ref, strategy, custom }: KindRow, field: string): boolean {
  if (field === 'metadata.name') return true
  const own = strategy.selectableFields
  if (field === 'metadata.namespace') return custom || own ? ref.namespaced && strategy.selectsNamespace !== false : true
  return own !== undefined && Object.hasOwn(own, field)
}

/** Each kind's own words. */
function unknownField({ ref, strategy, custom }: KindRow, field: string): string {
  if (!custom && !strategy.selectableFields) return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
  if (ref.group === 'batch') return `field label ${JSON.stringify(field)} not supported for ${ref.kind}`
  return ref.group === 'resource.k8s.io' ? `field label not supported for ${ref.group}/${ref.version}, Kind=${ref.kind}: ${field}` : `field label not supported: ${field}`
}

function fieldReader(row: KindRow): (entry: Entry, field: string) => string {
  const { storedAs } = row
  return (entry, field) => {
    if (field === 'metadata.name') return entry.name
    if (field === 'metadata.namespace') return entry.namespace
    // The cache knows the stored kind's fields; a view's own are read off the object.
    if (storedAs) return row.strategy.selectableFields?.[field]?.(storedAs.fromStored(JSON.parse(entry.value.toString()) as KubeObject)) ?? ''
    return entry.fields?.[field] ?? ''
  }
}

/** The one name an equality on metadata.name asks for: authorization of a list or watch then names it. '' when none. */
export function nameSelected(fieldText: string): string {
  const parsed = parseFieldSelector(fieldText)
  return (parsed.ok && requiredFieldValue(parsed.selector, 'metadata.name')) || ''
}

/** The namespace as well: what a watch compares each entry with. */
export function entryFilter(selection: Selection): (entry: Entry) => boolean {
  const { namespace, matches } = selection
  if (namespace === '') return matches ?? (() => true)
  return matches ? (entry) => entry.namespace === namespace && matches(entry) : (entry) => entry.namespace === namespace
}

/** Reads a kind's selectable fields off an object; undefined when it has none. */
export function selectableFields(row: KindRow): ((object: KubeObject) => Record<string, string>) | undefined {
  const readers = Object.entries(row.strategy.selectableFields ?? {})
  if (readers.length === 0) return undefined
  return (object) => Object.fromEntries(readers.map(([field, read]) => [field, read(object)]))
}
