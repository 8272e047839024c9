/** Content negotiation: which form of an answer the client takes. Pure. */
import { parseAccept, type MediaType } from '#api/http/media-types.ts'
import { hasProtobuf, PROTOBUF_TYPE } from '../protobuf/index.ts'
import { notAcceptable } from './status.ts'

type Encoding = 'json' | 'yaml' | 'protobuf'

/** How an object or list is to be rendered. */
export interface ObjectFormat {
  as: 'object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList'
  /** Version of meta.k8s.io in the answer for Table and partial forms. */
  metaVersion: 'v1' | 'v1beta1'
  encoding: Encoding
}

export const ACCEPTED = ['application/json', 'application/yaml', PROTOBUF_TYPE]

const PLAIN_JSON: ObjectFormat = { as: 'object', metaVersion: 'v1', encoding: 'json' }

/**
 * `model`: of the objects answered with; not every model has a protobuf form. `tables` false: nor a table's (reviews).
 * Throws 406 when nothing in the header can be served.
 */
export function negotiateObject(header: string | undefined, model: string, tables = true): ObjectFormat {
  if (header === undefined || header === 'application/json' || header === '*/*' || header === '') return PLAIN_JSON
  for (const media of parseAccept(header)) {
    const format = formatOf(media)
    // What stands for any object's metadata has that form whatever the object is.
    if (format && (tables || format.as !== 'Table') && (format.encoding !== 'protobuf' || format.as !== 'object' || hasProtobuf(model))) return format
  }
  throw notAcceptable(hasProtobuf(model) ? ACCEPTED : ACCEPTED.filter((type) => type !== PROTOBUF_TYPE))
}

/** `application/json;pretty=1` asks for indented JSON. */
export const prefersPretty = (header: string | undefined): boolean => header !== undefined && header.includes('pretty') && parseAccept(header)[0]?.params['pretty'] === '1'

/** Whether the first form in the header that can be served at all is protobuf. */
export const prefersProtobuf = (header: string): boolean => header.includes(PROTOBUF_TYPE) && preferredEncoding(header) === 'protobuf'

/** The same for YAML. */
export const prefersYaml = (header: string | undefined): boolean => header !== undefined && header.includes('yaml') && preferredEncoding(header) === 'yaml'

function preferredEncoding(header: string): Encoding | undefined {
  for (const media of parseAccept(header)) {
    const format = formatOf(media)
    if (format) return format.encoding
  }
  return undefined
}

function formatOf(media: MediaType): ObjectFormat | undefined {
  const encoding = encodingOf(media.type)
  if (!encoding) return undefined
  const as = media.params['as']
  // A group or version of nothing is no form.
  if (as === undefined && (media.params['g'] !== undefined || media.params['v'] !== undefined)) return undefined
  if (as === undefined) return encoding === 'json' ? PLAIN_JSON : { ...PLAIN_JSON, encoding }
  const version = media.params['v']
  if (media.params['g'] !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) return undefined
  // Tables have no protobuf form.
  if (as === 'Table' && encoding === 'protobuf') return undefined
  if (as !== 'Table' && as !== 'PartialObjectMetadata' && as !== 'PartialObjectMetadataList') return undefined
  return { as, metaVersion: version, encoding }
}

function encodingOf(type: string): Encoding | undefined {
  switch (type) {
    case '*/*': case 'application/*': case 'application/json': return 'json'
    case 'application/yaml': return 'yaml'
    case PROTOBUF_TYPE: return 'protobuf'
    default: return undefined
  }
}
