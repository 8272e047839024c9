/** An object of each built-in kind, and of custom ones, that both servers take as it is; what the families of requests begin with. */
import { builtinSchema, type SchemaSet } from '#api/schema/index.ts'
import { apiVersionOf } from '#api/types/index.ts'
import { rows } from '#server/apiserver/registry.ts'
import { KINDS } from '../conformance/kinds.ts'
import { CUSTOM_KINDS, CUSTOM_ROOT } from './definitions.ts'
import { EARLY_KINDS } from './early-kinds.ts'
import { clone, type Json } from './exchange.ts'
import { RICH } from './rich-objects.ts'

/** Where events may be about things of `default`. */
export const NAMESPACE = 'default'
/** What limits others is where nothing else is. */
export const LIMITED_NAMESPACE = 'oracle-limits'
const LIMITING = new Set(['limitranges', 'resourcequotas'])

export interface Seed {
  /** `apps/v1 deployments` */
  kind: string
  model: string
  types: SchemaSet
  collection: string
  subresources: readonly string[]
  /** A merge patch that `/status` takes. */
  status: Json | undefined
  /** The nth: no two cases have an object together. */
  object(n: number): Json & { metadata: Json & { name: string } }
}

/** Numbers that kinds write into an octet of an address. */
const OCTET = 250

const BUILT_IN: readonly Seed[] = [...KINDS, ...RICH, ...EARLY_KINDS].map(({ root, resource, object, name, each, status }) => {
  const row = rows.find(({ ref }) => ref.resource === resource && (ref.group === '' ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`) === root)
  if (!row) throw new Error(`${root}/${resource} is no built-in kind`)
  const { ref, model, subresources } = row
  const collection = ref.namespaced ? `${root}/namespaces/${LIMITING.has(resource) ? LIMITED_NAMESPACE : NAMESPACE}/${resource}` : `${root}/${resource}`
  return {
    kind: `${apiVersionOf(ref)} ${resource}`, model, types: builtinSchema, collection, subresources, status: status?.patch,
    object: (n) => {
      const made: Json = clone({ ...object, ...each?.(resource === 'servicecidrs' ? 1 + (n % OCTET) : n) })
      const metadata = made['metadata'] as Json | undefined
      const named = resource === 'ipaddresses' ? `10.9.${Math.floor(n / OCTET) % OCTET}.${n % OCTET}` : name?.(n) ?? `o${n}`
      return { apiVersion: apiVersionOf(ref), kind: ref.kind, ...made, metadata: { ...metadata, name: named } }
    },
  }
})

const CUSTOM: readonly Seed[] = CUSTOM_KINDS.map(({ version, resource, kind, namespaced, subresources, object, status, model, types }) => {
  const root = `${CUSTOM_ROOT}/${version}`
  const apiVersion = root.slice('/apis/'.length)
  return {
    kind: `${apiVersion} ${resource}`, model, types, subresources, status,
    collection: namespaced ? `${root}/namespaces/${NAMESPACE}/${resource}` : `${root}/${resource}`,
    object: (n) => ({ apiVersion, kind, ...clone(object), metadata: { ...object['metadata'] as Json | undefined, name: `o${n}` } }),
  }
})

export const SEEDS: readonly Seed[] = [...BUILT_IN, ...CUSTOM]
