/** Takes out of a custom resource what its schema does not name. Pure but for the object, which is changed in place. */
import { isJsonObject, type Json, type SchemaNode } from './node.ts'

/** As many unknown fields as upstream's strict decoder reports. */
const REPORTED_MAX = 100

type PathPart = string | number

export const META_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata'])

export interface Pruned {
  /** Paths of what was taken out, sorted: `spec.foo[0].bar`. Those beyond a hundred are not told. */
  unknown: string[]
  /** Whether anything was. */
  changed: boolean
}

/** `isRoot`: apiVersion, kind and metadata are the object's own and stay. */
export function prune(object: unknown, node: SchemaNode, isRoot: boolean): Pruned {
  const walk = new Walk()
  walk.value(object, isRoot ? asEmbedded(node) : node)
  return { unknown: walk.unknown.sort(), changed: walk.changed }
}

const embeddedForms = new WeakMap<SchemaNode, SchemaNode>()

/** The root of a resource is treated as an embedded resource is. */
export function asEmbedded(node: SchemaNode): SchemaNode {
  if (node.embedded) return node
  const known = embeddedForms.get(node)
  if (known) return known
  const made = { ...node, embedded: true }
  embeddedForms.set(node, made)
  return made
}

class Walk {
  readonly unknown: string[] = []
  changed = false
  readonly #path: PathPart[] = []

  value(value: unknown, node: SchemaNode | undefined): void {
    if (node?.preserve) this.#keep(value, node)
    else if (Array.isArray(value)) value.forEach((item, i) => this.#under(i, () => this.value(item, node?.items)))
    else if (isJsonObject(value)) this.#object(value, node)
  }

  #object(object: Json, node: SchemaNode | undefined): void {
    for (const key of Object.keys(object)) {
      if (node?.embedded && META_FIELDS.has(key)) continue
      const known = node?.properties?.[key]
      if (known) this.#under(key, () => this.value(object[key], known))
      else if (node?.additional !== undefined) this.#more(object, key, node.additional)
      else this.#drop(object, key)
    }
  }

  #more(object: Json, key: string, additional: SchemaNode | boolean): void {
    // Values that `additionalProperties: true` lets in have no schema: what is inside them goes.
    this.#under(key, () => this.value(object[key], typeof additional === 'object' ? additional : undefined))
  }

  /** `x-kubernetes-preserve-unknown-fields`: unknown members stay, known ones are looked into. */
  #keep(value: unknown, node: SchemaNode | undefined): void {
    if (!node) return
    if (Array.isArray(value)) return value.forEach((item, i) => this.#under(i, () => this.#keep(item, node.items)))
    if (!isJsonObject(value)) return
    for (const key of Object.keys(value)) {
      if (node.embedded && META_FIELDS.has(key)) continue
      const known = node.properties?.[key]
      if (known) this.#under(key, () => this.value(value[key], known))
      else if (node.additional !== undefined) this.#more(value, key, node.additional)
    }
  }

  #drop(object: Json, key: string): void {
    this.changed = true
    if (!(META_FIELDS.has(key) && this.#path.length === 0) && this.unknown.length < REPORTED_MAX) this.unknown.push(pathText([...this.#path, key]))
    delete object[key]
  }

  #under(part: PathPart, visit: () => void): void {
    this.#path.push(part)
    visit()
    this.#path.pop()
  }
}

function pathText(path: readonly PathPart[]): string {
  let text = ''
  for (const part of path) text += typeof part === 'number' ? `[${part}]` : text === '' ? part : `.${part}`
  return text
}
