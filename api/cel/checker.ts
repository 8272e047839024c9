/** Gives every node a type and every call its overloads; reports all that does not fit, in upstream's words. */
import type { Call, Comprehension, Expr, ListExpr, MapExpr, Select, StructExpr } from './ast.ts'
import { qualifiedName } from './ast.ts'
import type { Issue } from './issue.ts'
import type { FunctionTable, Overload } from './overload.ts'
import type { CelObjectType, CelType } from './type.ts'
import { BOOL, DYN, ERROR, formatType, INT, isDyn, list, map, NULL, optional, param, sameType, typeOf } from './type.ts'
import { moreGeneral, Substitutions } from './unify.ts'
import { TypeValue, typeOfValue } from './value.ts'

export interface Scope {
  variables: ReadonlyMap<string, CelType>
  functions: FunctionTable
  /** Names that are types (`int`, `net.IP`): as a value, the type. */
  types: ReadonlyMap<string, CelType>
  /** Types that may be made by their name; asked for names that nothing else knows. */
  structType?: (name: string) => CelObjectType | undefined
}

/** Changes the expression; the issues are empty where it is fit for evaluation. */
export function check(root: Expr, scope: Scope): Issue[] {
  const checker = new Checker(scope)
  checker.check(root)
  checker.settle(root)
  return checker.issues
}

class Checker {
  readonly issues: Issue[] = []
  readonly #scope: Scope
  readonly #locals: Map<string, CelType>[] = []
  readonly #types = new Substitutions()
  #variables = 0

  constructor(scope: Scope) { this.#scope = scope }

  #report(at: number, message: string): void { this.issues.push({ at, message }) }

  #newVariable(): CelType { return param(`_var${this.#variables++}`) }

  /** Last walk: no type variables remain. */
  settle(root: Expr): void {
    const todo = [root]
    for (let e = todo.pop(); e; e = todo.pop()) {
      e.type = this.#types.apply(e.type ?? DYN, 'dyn')
      switch (e.kind) {
        case 'select': todo.push(e.operand); break
        case 'call':
          if (e.target) todo.push(e.target)
          todo.push(...e.args)
          break
        case 'list': todo.push(...e.items); break
        case 'map': for (const x of e.entries) todo.push(x.key, x.value); break
        case 'struct': for (const x of e.fields) todo.push(x.value); break
        case 'comprehension': todo.push(e.range, e.init, e.condition, e.step, e.result); break
        default:
      }
    }
  }

  check(e: Expr): CelType {
    const type = this.#typeOf(e)
    e.type = type
    return type
  }

  #typeOf(e: Expr): CelType {
    switch (e.kind) {
      case 'literal': return e.value === null ? NULL : typeOfValue(e.value)
      case 'ident': {
        if (this.#resolveName(e, e.name)) return e.type as CelType
        this.#undeclared(e.at, e.name)
        return ERROR
      }
      case 'select': return this.#select(e)
      case 'call': return this.#call(e)
      case 'list': return this.#list(e)
      case 'map': return this.#map(e)
      case 'struct': return this.#struct(e)
      case 'comprehension': return this.#comprehension(e)
    }
  }

  #undeclared(at: number, name: string): void { this.#report(at, `undeclared reference to '${name}' (in container '')`) }

  /** Turns the node into the name it stands for. Locals win, even over a name with a leading dot. */
  #resolveName(e: Expr, written: string): boolean {
    const absolute = written.startsWith('.')
    const name = absolute ? written.slice(1) : written
    let type: CelType | undefined
    let constant: TypeValue | undefined
    for (let i = this.#locals.length - 1; i >= 0 && !type; i--) type = this.#locals[i]?.get(name)
    const local = type !== undefined
    type ??= this.#scope.variables.get(name)
    if (!type) {
      const named = this.#scope.types.get(name)
      if (!named) return false
      type = typeOf(named)
      constant = new TypeValue(name)
    }
    const resolved: { kind: 'ident'; name: string; type: CelType; constant?: TypeValue } = { kind: 'ident', name: local || !absolute ? name : written, type }
    if (constant) resolved.constant = constant
    Object.assign(e, resolved)
    return true
  }

  #select(e: Select): CelType {
    if (!e.testOnly) {
      const name = qualifiedName(e)
      // Whatever starts with a local name is a field of that local.
      if (name !== undefined && !this.#isLocal(name.split('.')[0] as string) && this.#resolveName(e, name)) return e.type as CelType
    }
    const type = this.#field(e, e.operand, e.field, false)
    return e.testOnly ? BOOL : this.#types.apply(type, 'keep')
  }

  #isLocal(name: string): boolean { return this.#locals.some((scope) => scope.has(name)) }

  #field(e: Expr, operand: Expr, field: string, isOptional: boolean): CelType {
    const operandType = this.#types.apply(this.check(operand), 'keep')
    const inner = unwrapOptional(operandType)
    const target = inner ?? operandType
    let result: CelType = ERROR
    switch (target.kind) {
      case 'map': result = target.value; break
      case 'object': {
        const found = target.field(field)
        if (found) result = found.type
        else this.#report(e.at, `undefined field '${field}'`)
        break
      }
      case 'param':
        this.#types.assignable(DYN, target)
        result = DYN
        break
      default:
        if (!isDyn(target) && target.kind !== 'error') this.#report(e.at, `type '${formatType(target)}' does not support field selection`)
        result = DYN
    }
    return inner || isOptional ? optional(result) : result
  }

  #call(e: Call): CelType {
    if (e.fn === '_?._') return this.#optionalSelect(e)
    for (const arg of e.args) this.check(arg)
    if (!e.target) {
      const name = e.fn.startsWith('.') ? e.fn.slice(1) : e.fn
      const overloads = this.#scope.functions.get(name)
      if (!overloads) {
        this.#undeclared(e.at, e.fn)
        return ERROR
      }
      e.fn = name
      return this.#resolve(e, overloads, undefined)
    }
    const prefix = qualifiedName(e.target)
    if (prefix !== undefined) {
      const name = `${prefix.startsWith('.') ? prefix.slice(1) : prefix}.${e.fn}`
      const namespaced = this.#scope.functions.get(name)
      if (namespaced) {
        e.fn = name
        e.target = undefined
        return this.#resolve(e, namespaced, undefined)
      }
    }
    this.check(e.target)
    const overloads = this.#scope.functions.get(e.fn)
    if (overloads) return this.#resolve(e, overloads, e.target)
    this.#undeclared(e.at, e.fn)
    return ERROR
  }

  #optionalSelect(e: Call): CelType {
    const [operand, field] = e.args as [Expr, Expr]
    this.check(field)
    const name = field.kind === 'literal' && typeof field.value === 'string' ? field.value : ''
    e.overloads = this.#scope.functions.get('_?._') ?? []
    if (e.overloads.length === 0) this.#undeclared(e.at, '_?._')
    return this.#types.apply(this.#field(e, operand, name, true), 'keep')
  }

  #resolve(e: Call, overloads: readonly Overload[], target: Expr | undefined): CelType {
    const args = (target ? [target, ...e.args] : e.args).map((arg) => arg.type ?? DYN)
    if (e.fn === '_&&_' || e.fn === '_||_') {
      let fits = true
      args.forEach((type, i) => {
        if (this.#types.assignable(type, BOOL)) return
        fits = false
        this.#report(e.args[i]?.at ?? e.at, `expected type 'bool' but found '${formatType(this.#types.apply(type, 'dyn'))}'`)
      })
      e.overloads = overloads
      return fits ? BOOL : ERROR
    }
    const matching: Overload[] = []
    let result: CelType | undefined
    for (const overload of overloads) {
      if (overload.member !== (target !== undefined) || overload.args.length !== args.length) continue
      const candidate = overload.generic ? this.#fresh(overload) : overload
      if (!this.#types.assignableAll(args, candidate.args)) continue
      matching.push(overload)
      const type = this.#types.apply(candidate.result, 'keep')
      if (!result) result = type
      else if (!isDyn(result) && !sameType(type, result)) result = DYN
    }
    if (result) {
      e.overloads = matching
      return result
    }
    const shown = args.map((type) => formatType(this.#types.apply(type, 'dyn')))
    const signature = target ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`
    this.#report(e.at, `found no matching overload for '${e.fn}' applied to '${signature}'`)
    return ERROR
  }

  #fresh(overload: Overload): { args: readonly CelType[]; result: CelType } {
    const names = new Map<string, CelType>()
    const renew = (t: CelType): CelType => {
      switch (t.kind) {
        case 'param': {
          const known = names.get(t.name) ?? this.#newVariable()
          names.set(t.name, known)
          return known
        }
        case 'list': return list(renew(t.element))
        case 'map': return map(renew(t.key), renew(t.value))
        case 'opaque': return t.params.length ? { ...t, params: t.params.map(renew) } : t
        case 'type': return t.of ? typeOf(renew(t.of)) : t
        default: return t
      }
    }
    return { args: overload.args.map(renew), result: renew(overload.result) }
  }

  #list(e: ListExpr): CelType {
    let joined: CelType | undefined
    e.items.forEach((item, i) => {
      const type = this.check(item)
      joined = this.#join(joined, e.optional.has(i) ? this.#unwrapItem(item, type) : type)
    })
    return list(joined ?? this.#newVariable())
  }

  /** What stands behind `?` must be optional. */
  #unwrapItem(e: Expr, type: CelType): CelType {
    const settled = this.#types.apply(type, 'keep')
    const inner = unwrapOptional(settled)
    if (!inner && !isDyn(settled) && settled.kind !== 'error') this.#report(e.at, `expected type '${formatType(optional(settled))}' but found '${formatType(settled)}'`)
    return inner ?? settled
  }

  /** Elements of different types make a literal of dyn; where that is not wanted, `checkLiterals` tells. */
  #join(before: CelType | undefined, type: CelType): CelType {
    if (!before) return type
    return this.#types.assignable(before, type) ? moreGeneral(before, type) : DYN
  }

  #map(e: MapExpr): CelType {
    let key: CelType | undefined
    let value: CelType | undefined
    for (const entry of e.entries) {
      key = this.#join(key, this.check(entry.key))
      const type = this.check(entry.value)
      value = this.#join(value, entry.optional ? this.#unwrapItem(entry.value, type) : type)
    }
    return map(key ?? this.#newVariable(), value ?? this.#newVariable())
  }

  #struct(e: StructExpr): CelType {
    const name = e.name.startsWith('.') ? e.name.slice(1) : e.name
    const type = this.#scope.structType?.(name)
    const known = type ? undefined : this.#scope.types.get(name)
    if (!type && !known) {
      this.#undeclared(e.at, e.name)
      return ERROR
    }
    for (const { value } of e.fields) this.check(value)
    if (!type) {
      this.#report(e.at, `'${formatType(known ?? DYN)}' is not a message type`)
      return ERROR
    }
    e.name = name
    for (const { at, name: field, value, optional: isOptional } of e.fields) {
      const declared = type.field(field)
      if (!declared) {
        this.#report(at, `undefined field '${field}'`)
        continue
      }
      const given = isOptional ? this.#unwrapItem(value, value.type ?? DYN) : (value.type ?? DYN)
      if (!this.#types.assignable(declared.type, given)) {
        this.#report(at, `expected type of field '${field}' is '${formatType(declared.type)}' but provided type is '${formatType(this.#types.apply(given, 'dyn'))}'`)
      }
    }
    return type
  }

  #comprehension(e: Comprehension): CelType {
    const range = this.#types.apply(this.check(e.range), 'keep')
    const accu = this.check(e.init)
    let first: CelType
    let second: CelType = ERROR
    switch (range.kind) {
      case 'list':
        first = e.iterVar2 === undefined ? range.element : INT
        second = range.element
        break
      case 'map':
        first = range.key
        second = range.value
        break
      case 'dyn': case 'any': case 'dynamic-union': case 'error': case 'param':
        this.#types.assignable(DYN, range)
        first = DYN
        second = DYN
        break
      default:
        this.#report(e.range.at, `expression of type '${formatType(range)}' cannot be range of a comprehension (must be list, map, or dynamic)`)
        first = ERROR
    }
    this.#locals.push(new Map([[e.accuVar, accu]]))
    const iteration = new Map([[e.iterVar, first]])
    if (e.iterVar2 !== undefined) iteration.set(e.iterVar2, second)
    this.#locals.push(iteration)
    this.check(e.condition)
    this.#assert(e.condition, BOOL)
    this.check(e.step)
    this.#assert(e.step, accu)
    this.#locals.pop()
    const result = this.check(e.result)
    this.#locals.pop()
    return this.#types.apply(result, 'keep')
  }

  #assert(e: Expr, type: CelType): void {
    const actual = e.type ?? DYN
    if (this.#types.assignable(type, actual)) return
    this.#report(e.at, `expected type '${formatType(this.#types.apply(type, 'dyn'))}' but found '${formatType(this.#types.apply(actual, 'dyn'))}'`)
  }
}

const unwrapOptional = (t: CelType): CelType | undefined => (t.kind === 'opaque' && t.name === 'optional_type' ? t.params[0] : undefined)

