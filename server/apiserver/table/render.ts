/** Answers in the form the client accepts: as stored, as tables, as metadata only; JSON or YAML. */
import type { ApiResponse } from '#api/client/transport.ts'
import { collect } from '#api/client/body.ts'
import type { KubeObject } from '#api/types/index.ts'
import { printYaml } from '../decode/print-yaml.ts'
import type { ObjectFormat } from '../http/negotiate.ts'
import { ACCEPTED } from '../http/negotiate.ts'
import { listKindOf } from '../kind.ts'
import { jsonResponse } from '../http/response.ts'
import { notAcceptable } from '../http/status.ts'
import { encodeProtobuf, PROTOBUF_TYPE, PROTOBUF_WATCH_TYPE, protobufModelOf } from '../protobuf/index.ts'
import { namesOf, type Call } from '../verbs/call.ts'
import { shown, storedNames, viewed, type Full } from '../verbs/stored.ts'
import { bookmarkObject, convertingEncoder, metadataEncoder, plainEncoder, protobufEncoder, type Encoder, type WatchForm } from '../watch/encoder.ts'
import type { Entry } from '../watch/kind-cache.ts'
import { listMeta, type Listed } from './listed.ts'
import { type IncludeObject, parseIncludeObject, partialMetadata, shapeOf, table, tableRow } from './table.ts'

/** A single object's JSON answer, in another form where one is asked for. Whole objects as protobuf are made of it further out, with all others. */
export async function renderObject(call: Call, response: ApiResponse, format: ObjectFormat): Promise<ApiResponse> {
  if (format.as === 'object' && format.encoding !== 'yaml') return response
  const object = JSON.parse((await collect(response.body)).toString()) as KubeObject
  // A Status (a refusal, or a deletion's success) is shown as it is.
  const answer = object.kind === 'Status' ? object : formed(call, object, format)
  return printed(answer, format, response.status)
}

function formed(call: Call, object: KubeObject, format: ObjectFormat): unknown {
  switch (format.as) {
    case 'object': return object
    case 'PartialObjectMetadata': return partialMetadata(object, format.metaVersion)
    case 'PartialObjectMetadataList': throw notAcceptable(ACCEPTED)
    case 'Table': {
      const shape = shapeOf(call.row)
      return table(shape.columns, format.metaVersion, { resourceVersion: object.metadata?.resourceVersion ?? '' }, [tableRow(shape, object, includeObject(call), format.metaVersion, call.parts.clock.nowMs())])
    }
  }
}

/** Objects that are made when asked for and never stored: one, or a list of them. */
export function renderMade(call: Call, made: KubeObject | readonly KubeObject[], format: ObjectFormat): ApiResponse {
  if (!isList(made)) return printed(formed(call, made, format), format, 200)
  const of = namesOf(call.row)
  switch (format.as) {
    case 'object': return printed({ kind: `${of.kind}List`, apiVersion: of.apiVersion, metadata: {}, items: made.map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item) }, format, 200)
    case 'PartialObjectMetadataList': return printed({ kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${format.metaVersion}`, metadata: {}, items: made.map((o) => partialMetadata(o, format.metaVersion)) }, format, 200)
    case 'PartialObjectMetadata': throw notAcceptable(ACCEPTED)
    case 'Table': {
      const shape = shapeOf(call.row)
      const include = includeObject(call)
      return printed(table(shape.columns, format.metaVersion, {}, made.map((o) => tableRow(shape, o, include, format.metaVersion, call.parts.clock.nowMs()))), format, 200)
    }
  }
}

const isList = (made: KubeObject | readonly KubeObject[]): made is readonly KubeObject[] => Array.isArray(made)

/** A list in YAML: printed whole. All others: see list-form.ts. */
export function renderYamlList(call: Call, listed: Listed, format: ObjectFormat): ApiResponse {
  const { row } = call
  const of = namesOf(row)
  const metadata = listMeta(listed)
  switch (format.as) {
    case 'object': return printed({ kind: listKindOf(row), apiVersion: of.apiVersion, metadata: listMeta(listed, row.custom !== undefined), items: listed.entries.map((e) => listItem(call, e)) }, format, 200)
    case 'PartialObjectMetadataList': return printed({ kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${format.metaVersion}`, metadata, items: listed.entries.map((e) => partialMetadata(shown(row, e), format.metaVersion)) }, format, 200)
    case 'PartialObjectMetadata': throw notAcceptable(ACCEPTED)
    case 'Table': {
      const shape = shapeOf(row)
      const include = includeObject(call)
      const nowMs = call.parts.clock.nowMs()
      return printed(table(shape.columns, format.metaVersion, metadata, listed.entries.map((e) => tableRow(shape, shown(row, e), include, format.metaVersion, nowMs))), format, 200)
    }
  }
}

function listItem({ row }: Call, entry: Entry): unknown {
  const { kind, apiVersion, ...item } = shown(row, entry)
  return row.custom ? { apiVersion, kind, ...item } : item
}

/** What a watch sends in the accepted form. */
export function watchFormOf(call: Call, format: ObjectFormat): WatchForm {
  const of = namesOf(call.row)
  if (format.encoding === 'yaml') throw notAcceptable(['application/json;stream=watch', PROTOBUF_WATCH_TYPE])
  const encoded = (json: Encoder): Encoder => (format.encoding === 'protobuf' ? protobufEncoder(json) : json)
  const metaVersion = `meta.k8s.io/${format.metaVersion}`
  const stored = storedNames(call.row)
  const view = (object: KubeObject): KubeObject => viewed(call.row, object as Full)
  const formOf = (objects: Encoder, named: { kind: string; apiVersion: string }): WatchForm => ({ objects, first: objects, bookmark: (revision, end) => bookmarkObject(named, revision, end, () => blueprintOf(call, format)) })
  switch (format.as) {
    case 'object': return formOf(encoded(call.row.storedAs ? convertingEncoder(`view ${of.apiVersion}`, stored, view) : plainEncoder(of)), of)
    case 'PartialObjectMetadata': return formOf(encoded(metadataEncoder(metaVersion)), { kind: 'PartialObjectMetadata', apiVersion: metaVersion })
    case 'PartialObjectMetadataList': throw notAcceptable(ACCEPTED)
    case 'Table': return tableForm(call, format)
  }
}

/** The empty list in the form that the watch has, in base64: clients that list by watching make their list of it (KEP-3157). */
function blueprintOf(call: Call, format: ObjectFormat): string {
  const of = format.as === 'object' ? { kind: listKindOf(call.row), apiVersion: namesOf(call.row).apiVersion } : { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${format.metaVersion}` }
  const model = format.encoding === 'protobuf' ? protobufModelOf(of) : undefined
  const list = { ...of, metadata: {}, items: [] }
  return (model === undefined ? Buffer.from(`${JSON.stringify(list)}\n`) : encodeProtobuf(list as KubeObject, model)).toString('base64')
}

/** One table an object; only the first names the columns. */
function tableForm(call: Call, { metaVersion }: ObjectFormat): WatchForm {
  const of = namesOf(call.row)
  const shape = shapeOf(call.row)
  const include = includeObject(call)
  const { clock } = call.parts
  const encoder = (isFirst: boolean) => convertingEncoder(`table ${metaVersion} ${include} ${of.apiVersion}${isFirst ? ' columns' : ''}`, storedNames(call.row), (object) =>
    table(isFirst ? shape.columns : undefined, metaVersion, { resourceVersion: object.metadata?.resourceVersion ?? '' }, [tableRow(shape, viewed(call.row, object as Full), include, metaVersion, clock.nowMs())]))
  return {
    objects: encoder(false), first: encoder(true),
    bookmark(revision, initialEventsEnd, isFirst) {
      const marked = bookmarkObject(of, revision, initialEventsEnd)
      const object = include === 'None' ? null : include === 'Object' ? marked : partialMetadata(marked, metaVersion)
      return table(isFirst ? shape.columns : undefined, metaVersion, { resourceVersion: String(revision) }, [{ cells: shape.columns.map(() => null), object }]) as KubeObject
    },
  }
}

const includeObject = (call: Call): IncludeObject => parseIncludeObject(call.query.text('includeObject'))

function printed(value: unknown, format: ObjectFormat, status: number): ApiResponse {
  if (format.encoding === 'json') return jsonResponse(value, status)
  if (format.encoding === 'protobuf') {
    const model = protobufModelOf(value as KubeObject)
    return model === undefined ? jsonResponse(value, status) : protobufAnswer(encodeProtobuf(value as KubeObject, model), status)
  }
  return { status, headers: { 'content-type': 'application/yaml' }, body: printYaml(value) }
}

function protobufAnswer(body: Buffer, status = 200): ApiResponse {
  return { status, headers: { 'content-type': PROTOBUF_TYPE }, body }
}
