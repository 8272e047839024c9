/** Which old value stands where a new one stands now (apiserver `cel/common.CorrelatedObject`). Pure. */
import { equalJson } from '../../storage/equal.ts'
import { isJsonObject, memberNode, type SchemaNode } from './node.ts'

export class Correlation {
  readonly value: unknown
  readonly old: unknown
  readonly #node: SchemaNode
  #equal: boolean | undefined

  constructor(value: unknown, old: unknown, node: SchemaNode) {
    this.value = value
    this.old = old
    this.#node = node
  }

  /** Nothing changed here or below: items of lists of type map may have changed places, and what the schema does not know counts as changed. */
  get isUnchanged(): boolean { return (this.#equal ??= this.#isEqual()) }

  #isEqual(): boolean {
    const { value, old } = this
    if (Array.isArray(value) && Array.isArray(old)) {
      if (this.#node.listType !== 'map') return equalJson(value, old)
      return value.length === old.length && value.every((_, i) => this.index(i)?.isUnchanged ?? false)
    }
    if (!isJsonObject(value) || !isJsonObject(old)) return equalJson(value, old)
    const names = Object.keys(value)
    return names.length === Object.keys(old).length && names.every((name) => this.key(name)?.isUnchanged ?? false)
  }

  /** Undefined: an old value cannot be told. */
  key(name: string): Correlation | undefined {
    if (!isJsonObject(this.value) || !isJsonObject(this.old) || !Object.hasOwn(this.old, name)) return undefined
    const node = memberNode(this.#node, name)
    return node && new Correlation(this.value[name], this.old[name], node)
  }

  /** Only items of lists of type map are told apart, by their keys. */
  index(at: number): Correlation | undefined {
    const { items, listType, listMapKeys } = this.#node
    if (listType !== 'map' || !items || !Array.isArray(this.value) || !Array.isArray(this.old)) return undefined
    const item: unknown = this.value[at]
    if (!isJsonObject(item)) return undefined
    const keys = listMapKeys ?? []
    const found = (this.old as unknown[]).find((other) => isJsonObject(other) && keys.every((key) => equalJson(other[key], item[key])))
    return found === undefined ? undefined : new Correlation(item, found, items)
  }
}
