/**
 * What Go's types hold where a client says nothing: structs, strings and numbers that are no pointers are there with
 * their zero value, are stored so and shown so. Filled in before defaults, so that rules need not ask whether a
 * required field is there at all.
 */
import { builtinSchema, type FieldType } from '#api/schema/index.ts'

/** Required by the API and yet pointers in Go: there absent stays absent. */
const POINTERS: ReadonlySet<string> = new Set([
  ...['DaemonSetSpec', 'DeploymentSpec', 'ReplicaSetSpec', 'StatefulSetSpec'].map((model) => `${model}.selector`),
  'MutatingWebhook.sideEffects', 'ValidatingWebhook.sideEffects', 'V1alpha3ResourcePoolStatusRequestStatus.poolCount',
  ...['', 'V1beta1'].map((version) => `${version}IPAddressSpec.parentRef`),
])

type Json = Record<string, unknown>

/** `free`: one or a list of them. */
type Shape = 'one' | 'list' | 'map' | 'free'

interface Plan {
  zeros: readonly (readonly [key: string, zero: '' | 0 | false | 'struct' | 'list'])[]
  /** Fields whose values hold structs of their own. */
  inner: readonly (readonly [key: string, model: string, shape: Shape])[]
}

const NOTHING: Plan = { zeros: [], inner: [] }
const plans = new Map<string, Plan>()

/** Changes `object`, which is of `model`, in place. */
export function fillRequired(model: string, object: object): void {
  const target = object as Json
  const { zeros, inner } = planOf(model)
  for (const [key, zero] of zeros) {
    if (target[key] === undefined || target[key] === null) target[key] = zero === 'struct' ? {} : zero === 'list' ? [] : zero
  }
  for (const [key, innerModel, shape] of inner) {
    const value = target[key]
    if (typeof value !== 'object' || value === null) continue
    if (shape === 'one' || (shape === 'free' && !Array.isArray(value))) fillRequired(innerModel, value)
    else for (const item of Array.isArray(value) ? (value as unknown[]) : Object.values(value)) if (typeof item === 'object' && item !== null && !Array.isArray(item)) fillRequired(innerModel, item)
  }
}

function planOf(name: string): Plan {
  const known = plans.get(name)
  if (known) return known
  const model = builtinSchema.model(name)
  if (!model) return NOTHING
  const zeros: [string, Plan['zeros'][number][1]][] = []
  const inner: [string, string, Shape][] = []
  // Types contain themselves: the plan is known before its parts are looked at.
  const plan: Plan = { zeros, inner }
  plans.set(name, plan)
  for (const [key, { type, required }] of Object.entries(model.fields)) {
    // Metadata is checked by rules of its own.
    if (type.kind === 'ref' && (type.model === 'ObjectMeta' || type.model === 'ListMeta')) continue
    const zero = required && !POINTERS.has(`${name}.${key}`) ? zeroOf(type) : undefined
    if (zero !== undefined) zeros.push([key, zero])
    const held = heldModel(type)
    if (held && !isEmpty(planOf(held.model))) inner.push([key, held.model, held.shape])
  }
  return plan
}

/** A plan still being made may yet get something. */
const isEmpty = (plan: Plan): boolean => plan === NOTHING

function zeroOf(type: FieldType): Plan['zeros'][number][1] | undefined {
  switch (type.kind) {
    case 'ref': return 'struct'
    case 'list': return 'list'
    case 'scalar':
      switch (type.scalar) {
        case 'string': case 'byte': return ''
        case 'int32': case 'int64': case 'double': return 0
        case 'boolean': return false
        default: return undefined
      }
    default: return undefined
  }
}

function heldModel(type: FieldType): { model: string; shape: Shape } | undefined {
  switch (type.kind) {
    case 'ref': return { model: type.model, shape: 'one' }
    case 'any': return isSchema(type) ? { model: 'JSONSchemaProps', shape: 'free' } : undefined
    case 'list': case 'map': {
      const items = type.kind === 'list' ? type.items : type.values
      const model = items.kind === 'ref' ? items.model : isSchema(items) ? 'JSONSchemaProps' : undefined
      return model === undefined ? undefined : { model, shape: type.kind }
    }
    default: return undefined
  }
}

/** A schema, or in its place a flag, a list of schemas, or names. */
const isSchema = (type: FieldType): boolean => type.kind === 'any' && /JSONSchemaPropsOr\w+$/.test(type.definition ?? '')
