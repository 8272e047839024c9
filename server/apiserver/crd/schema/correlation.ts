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

  /** Nothing changed here or below. */
  get isUnchanged(): boolean { return (this.#equal ??= equalJson(this.value, this.old)) }

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
