/** Assignability with type variables: the heart of the checker, as the CEL specification's type checking has it. */
import type { CelType } from './type.ts'
import { DYN, isDyn, list, map, opaque, sameType, typeOf } from './type.ts'

/** What type variables stand for. Attempts that fail are undone. */
export class Substitutions {
  readonly #bound = new Map<string, CelType>()
  readonly #trail: [string, CelType | undefined][] = []

  find(t: CelType): CelType | undefined { return t.kind === 'param' ? this.#bound.get(t.name) : undefined }

  #bind(name: string, t: CelType): void {
    this.#trail.push([name, this.#bound.get(name)])
    this.#bound.set(name, t)
  }

  /** All pairs assignable, or nothing changes. */
  assignableAll(from: readonly CelType[], to: readonly CelType[]): boolean {
    if (from.length !== to.length) return false
    const mark = this.#trail.length
    if (from.every((t, i) => this.#assignable(t, to[i] as CelType))) return true
    while (this.#trail.length > mark) {
      const [name, before] = this.#trail.pop() as [string, CelType | undefined]
      if (before) this.#bound.set(name, before)
      else this.#bound.delete(name)
    }
    return false
  }

  assignable(from: CelType, to: CelType): boolean { return this.assignableAll([from], [to]) }

  #assignable(a: CelType, b: CelType): boolean {
    if (b.kind === 'param') {
      const answer = this.#stands(a, b)
      if (answer !== 'no') return answer === 'yes'
    }
    if (a.kind === 'param') return this.#stands(b, a) === 'yes'
    if (isDyn(a) || isDyn(b) || a.kind === 'error' || b.kind === 'error') return true
    if (a.kind === 'null') return takesNull(b)
    if (b.kind === 'null') return takesNull(a)
    if (a.kind !== b.kind) return false
    switch (a.kind) {
      case 'list': return this.#assignable(a.element, (b as typeof a).element)
      case 'map': return this.#assignable(a.key, (b as typeof a).key) && this.#assignable(a.value, (b as typeof a).value)
      case 'opaque': {
        const other = b as typeof a
        return a.name === other.name && a.params.length === other.params.length && a.params.every((p, i) => this.#assignable(p, other.params[i] as CelType))
      }
      case 'object': return a.name === (b as typeof a).name
      default: return true
    }
  }

  /** May `t` be what the variable `v` stands for? `no`: undecided, `v` is free but occurs in `t`; `never`: it stands for something else. */
  #stands(t: CelType, v: CelType & { kind: 'param' }): 'yes' | 'no' | 'never' {
    if (sameVariable(t, v)) return 'yes'
    const bound = this.#bound.get(v.name)
    if (bound) {
      if (sameVariable(t, bound) || (t.kind === bound.kind && t.kind !== 'param' && sameType(t, bound))) return 'yes'
      if (!this.#assignable(t, bound)) return 'never'
      const general = moreGeneral(t, bound)
      if (!this.#occurs(v, general)) this.#bind(v.name, general)
      return 'yes'
    }
    if (this.#occurs(v, t)) return 'no'
    this.#bind(v.name, t)
    return 'yes'
  }

  #occurs(v: CelType & { kind: 'param' }, t: CelType): boolean {
    switch (t.kind) {
      case 'param': {
        if (t.name === v.name) return true
        const bound = this.#bound.get(t.name)
        return bound !== undefined && this.#occurs(v, bound)
      }
      case 'list': return this.#occurs(v, t.element)
      case 'map': return this.#occurs(v, t.key) || this.#occurs(v, t.value)
      case 'opaque': return t.params.some((p) => this.#occurs(v, p))
      case 'type': return t.of !== undefined && this.#occurs(v, t.of)
      default: return false
    }
  }

  /** Variables replaced by what they stand for; free ones by dyn if `free` says so. Returns `t` itself where nothing changes. */
  apply(t: CelType, free: 'keep' | 'dyn'): CelType {
    switch (t.kind) {
      case 'param': {
        const bound = this.#bound.get(t.name)
        return bound ? this.apply(bound, free) : free === 'dyn' ? DYN : t
      }
      case 'list': {
        const element = this.apply(t.element, free)
        return element === t.element ? t : list(element)
      }
      case 'map': {
        const key = this.apply(t.key, free)
        const value = this.apply(t.value, free)
        return key === t.key && value === t.value ? t : map(key, value)
      }
      case 'opaque': {
        const params = t.params.map((p) => this.apply(p, free))
        return params.every((p, i) => p === t.params[i]) ? t : opaque(t.name, ...params)
      }
      case 'type': return t.of ? typeOf(this.apply(t.of, free)) : t
      default: return t
    }
  }
}

const sameVariable = (a: CelType, b: CelType): boolean => a === b || (a.kind === 'param' && b.kind === 'param' && a.name === b.name)

const takesNull = (t: CelType): boolean => t.kind === 'null' || t.kind === 'opaque' || t.kind === 'object' || t.kind === 'duration' || t.kind === 'timestamp'

/** Of two types that unify. */
export function moreGeneral(a: CelType, b: CelType): CelType { return isEqualOrLessSpecific(a, b) ? a : b }

function isEqualOrLessSpecific(a: CelType, b: CelType): boolean {
  if (isDyn(a) || a.kind === 'param') return true
  if (isDyn(b) || b.kind === 'param' || a.kind !== b.kind) return false
  switch (a.kind) {
    case 'list': return isEqualOrLessSpecific(a.element, (b as typeof a).element)
    case 'map': return isEqualOrLessSpecific(a.key, (b as typeof a).key) && isEqualOrLessSpecific(a.value, (b as typeof a).value)
    case 'opaque': {
      const other = b as typeof a
      return a.name === other.name && a.params.length === other.params.length && a.params.every((p, i) => isEqualOrLessSpecific(p, other.params[i] as CelType))
    }
    case 'type': return true
    default: return sameType(a, b)
  }
}
