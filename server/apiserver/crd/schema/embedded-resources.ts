/** Resources embedded in a custom resource have a kind, an apiVersion and sound metadata (apiextensions `objectmeta`). Pure. */
import { checkDns1035Label, type ObjectMeta } from '#api/types/index.ts'
import { invalid, required, type FieldError } from '../../field-error.ts'
import { validateMeta } from '../../kinds/object-meta.ts'
import { mayEmbed } from './coerce-metadata.ts'
import { isJsonObject, type Json, type SchemaNode } from './node.ts'

/** The root itself is not looked at unless its schema says that it is embedded. */
export function validateEmbedded(value: unknown, node: SchemaNode | undefined, path = ''): FieldError[] {
  if (!node || !mayEmbed(node)) return []
  if (Array.isArray(value)) return value.flatMap((item, i) => validateEmbedded(item, node.items, `${path}[${i}]`))
  if (!isJsonObject(value)) return []
  const out = node.embedded ? validateResource(value, path) : []
  for (const key of Object.keys(value)) {
    const member = node.properties?.[key]
    if (member) out.push(...validateEmbedded(value[key], member, child(path, key)))
    else if (typeof node.additional === 'object') out.push(...validateEmbedded(value[key], node.additional, `${path}[${key}]`))
  }
  return out
}

const child = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`)

function validateResource(resource: Json, path: string): FieldError[] {
  const { apiVersion, kind, metadata } = resource
  const out: FieldError[] = []
  if (apiVersion === undefined) out.push(required(child(path, 'apiVersion')))
  else if (typeof apiVersion !== 'string') out.push(invalid(child(path, 'apiVersion'), apiVersion, 'must be a string'))
  else if (apiVersion === '') out.push(invalid(child(path, 'apiVersion'), apiVersion, 'must not be empty'))
  else if (apiVersion.split('/').length > 2) out.push(invalid(child(path, 'apiVersion'), apiVersion, `unexpected GroupVersion string: ${apiVersion}`))
  if (kind === undefined) out.push(required(child(path, 'kind')))
  else if (typeof kind !== 'string') out.push(invalid(child(path, 'kind'), kind, 'must be a string'))
  else if (kind === '') out.push(invalid(child(path, 'kind'), kind, 'must not be empty'))
  else {
    const wrong = checkDns1035Label(kind.toLowerCase())
    if (wrong.length > 0) out.push(invalid(child(path, 'kind'), kind, `may have mixed case, but should otherwise match: ${wrong.join(',')}`))
  }
  if (!isJsonObject(metadata)) return out
  const meta = metadata as ObjectMeta
  // A template's resource need not be named.
  const errors = validateMeta({ ...meta, name: meta.name || 'fakename' }, { namespaced: Boolean(meta.namespace), nameRule: 'path-segment', finalizers: 'plain' })
  return [...out, ...errors.map((error) => ({ ...error, field: path === '' ? error.field : `${path}.${error.field}` }))]
}
