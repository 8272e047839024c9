/**
 * How a list stands in the form that its client accepts: what each item is made of, and what stands around all of them.
 * Objects and their metadata are cut out of the stored bytes, in protobuf, too; what has to look inside (tables, kinds that are views)
 * parses one item at a time and keeps none.
 */
import type { KubeObject } from '#api/types/index.ts'
import { ACCEPTED, type ObjectFormat } from '../http/negotiate.ts'
import { JSON_TYPE } from '../http/response.ts'
import { notAcceptable } from '../http/status.ts'
import { listKindOf, type KindRow } from '../kind.ts'
import { aroundProtobufList, transcodeListItem, PROTOBUF_TYPE } from '../protobuf/index.ts'
import { itemStart, metadataEnd, objectStart, revisedHead, STORED_START_BYTES } from '../storage/bytes.ts'
import { namesOf, type Call } from '../verbs/call.ts'
import { shown } from '../verbs/stored.ts'
import type { Entry } from '../watch/kind-cache.ts'
import { listMeta, type Listed } from './listed.ts'
import { parseIncludeObject, shapeOf, table, tableRow } from './table.ts'

/** What a list is made of: an object as stored. */
export type Item = Pick<Entry, 'value' | 'revision'>
/** Text has one byte a character (Latin-1). */
export type Part = string | Buffer

export interface ItemForm<T extends Item = Item> {
  /** Equal keys mean equal bytes of equal items, now and later; undefined: they are good for this answer alone. */
  readonly key: string | undefined
  readonly separator: '' | ','
  parts(item: T): readonly Part[]
}

export interface ListForm {
  readonly contentType: string
  readonly items: ItemForm<Entry>
  /** What stands before and after items that are so many bytes. */
  around(bytes: number): { head: Buffer; tail: Buffer }
}

/** In any encoding but YAML. Throws 406 for what only a single object has. */
export function listFormOf(call: Call, listed: Listed, format: ObjectFormat): ListForm {
  switch (format.as) {
    case 'object': return format.encoding === 'protobuf' ? protobufObjects(call, listed) : jsonObjects(call, listed)
    case 'PartialObjectMetadataList': return format.encoding === 'protobuf' ? protobufMetadata(listed, format) : jsonMetadata(listed, format)
    case 'PartialObjectMetadata': throw notAcceptable(ACCEPTED)
    // A table has no form in protobuf: whoever would take that takes JSON.
    case 'Table': return jsonTable(call, listed, format)
  }
}

/** Stored bytes with a head spliced on. `start`: see itemStart. */
export const storedItems = (start = itemStart()): ItemForm => ({
  key: start, separator: ',',
  parts: ({ value, revision }) => [revisedHead(start, revision), value.subarray(STORED_START_BYTES)],
})

function jsonObjects(call: Call, listed: Listed): ListForm {
  const { row } = call
  const of = namesOf(row)
  const head = { kind: listKindOf(row), apiVersion: of.apiVersion, metadata: listMeta(listed, row.custom !== undefined) }
  return jsonList(head, 'items', row.storedAs ? { key: `view ${of.apiVersion}`, separator: ',', parts: (entry) => [printed(listItem(shown(row, entry)))] } : storedItems(itemStart(row.custom && of)))
}

/** Without kind and apiVersion, as upstream's lists have their items. */
const listItem = ({ kind: _kind, apiVersion: _apiVersion, ...item }: KubeObject): object => item

const printed = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

function jsonList(before: object, name: 'items' | 'rows', items: ItemForm<Entry>): ListForm {
  return { contentType: JSON_TYPE, items, around: () => ({ head: Buffer.from(`${JSON.stringify(before).slice(0, -1)},"${name}":[`), tail: JSON_TAIL }) }
}

const JSON_TAIL = Buffer.from(']}\n')

const metaVersionOf = ({ metaVersion }: ObjectFormat): string => `meta.k8s.io/${metaVersion}`

function jsonMetadata(listed: Listed, format: ObjectFormat): ListForm {
  const apiVersion = metaVersionOf(format)
  return jsonList({ kind: 'PartialObjectMetadataList', apiVersion, metadata: listMeta(listed) }, 'items', { key: `metadata ${apiVersion}`, separator: ',', parts: metadataParts(apiVersion) })
}

/** PartialObjectMetadata: the `metadata` part of the stored bytes, cut out unparsed. */
function metadataParts(apiVersion: string): (item: Item) => Part[] {
  const start = objectStart({ kind: 'PartialObjectMetadata', apiVersion })
  return ({ value, revision }) => [revisedHead(start, revision), value.subarray(STORED_START_BYTES, metadataEnd(value)), '}']
}

function jsonTable(call: Call, listed: Listed, format: ObjectFormat): ListForm {
  const { row } = call
  const shape = shapeOf(row)
  const include = parseIncludeObject(call.query.text('includeObject'))
  const nowMs = call.parts.clock.nowMs()
  const objectParts = include === 'None' ? () => ['null'] : include === 'Metadata' ? metadataParts(metaVersionOf(format)) : wholeParts(call.row)
  const { rows: _rows, ...head } = table(shape.columns, format.metaVersion, listMeta(listed), [])
  return jsonList(head, 'rows', {
    // Ages go on.
    key: undefined, separator: ',',
    parts(entry) {
      const { object: _object, ...cells } = tableRow(shape, shown(row, entry), 'None', format.metaVersion, nowMs)
      return [printed(cells).subarray(0, -1), ',"object":', ...objectParts(entry), '}']
    },
  })
}

function wholeParts(row: KindRow): (entry: Entry) => Part[] {
  if (row.storedAs) return (entry) => [printed(shown(row, entry))]
  const start = objectStart(namesOf(row))
  return ({ value, revision }) => [revisedHead(start, revision), value.subarray(STORED_START_BYTES)]
}

function protobufObjects({ row }: Call, listed: Listed): ListForm {
  const { kind, apiVersion } = namesOf(row)
  const parts = wholeParts(row)
  return protobufList({ kind: `${kind}List`, apiVersion, metadata: listMeta(listed) }, { key: `protobuf ${apiVersion}`, separator: '', parts: (entry) => [transcodeListItem(parts(entry), row.model)] })
}

function protobufMetadata(listed: Listed, format: ObjectFormat): ListForm {
  const apiVersion = metaVersionOf(format)
  const parts = metadataParts(apiVersion)
  return protobufList({ kind: 'PartialObjectMetadataList', apiVersion, metadata: listMeta(listed) }, {
    key: `protobuf metadata ${apiVersion}`, separator: '', parts: (item) => [transcodeListItem(parts(item), 'PartialObjectMetadata')],
  })
}

function protobufList(list: { kind: string; apiVersion: string; metadata: object }, items: ItemForm<Entry>): ListForm {
  return { contentType: PROTOBUF_TYPE, items, around: (bytes) => aroundProtobufList(list, bytes) }
}
