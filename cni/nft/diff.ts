/**
 * The transaction that turns the table that is into the table that should be. Pure. `nft -f -` applies it whole or not at
 * all, so no packet sees a state in between.
 */
import { hookShape, ruleHash, setShape, type NftChain, type NftSet, type NftTable } from './table.ts'

/** The parts of a table that may differ; leaving it out compares everything. */
export interface NftScope { chains: Iterable<string>; sets: ReadonlyMap<string, Iterable<string>> }

/** `create` replaces the whole table, `sweep` deletes what an earlier `change` emptied. */
export interface NftPlan { kind: 'none' | 'create' | 'change' | 'sweep'; commands: string[] }

/**
 * nft commands, in order; none when nothing differs. `actual` holds rule hashes, as `observeTable` reads and `settle` keeps them.
 *
 * A chain or set that is not wanted any more is emptied now and deleted by the next, otherwise quiet, diff: kernels before 6.2
 * count a reference that the same transaction drops, and refuse.
 */
export function diffTable(actual: NftTable | undefined, desired: NftTable, scope?: NftScope): NftPlan {
  if (!actual) return { kind: 'create', commands: createTable(desired) }
  const t = `${desired.family} ${desired.name}`
  const { chainNames, setNames } = namesIn(actual, desired, scope)
  if (setNames.some((n) => isReshaped(actual.sets.get(n), desired.sets.get(n))) || chainNames.some((n) => isRehooked(actual.chains.get(n), desired.chains.get(n)))) {
    return { kind: 'create', commands: [`delete table ${t}`, ...createTable(desired)] }
  }
  const added: string[] = []
  const dropped: string[] = []
  const rules: string[] = []
  const filled: string[] = []
  const stale: string[] = []
  for (const name of setNames) {
    const [is, want] = [actual.sets.get(name), desired.sets.get(name)]
    if (!want) {
      if (is) stale.push(`delete ${kindOf(is)} ${t} ${name}`)
      continue
    }
    if (!is) added.push(addSet(t, name, want))
    if (want.timeoutSeconds !== undefined) continue
    const keys = scope && is ? [...(scope.sets.get(name) ?? [])] : unique(is?.elements.keys() ?? [], want.elements.keys())
    const changed = keys.filter((key) => is?.elements.get(key) !== want.elements.get(key))
    const gone = changed.filter((key) => is?.elements.has(key))
    const come = changed.filter((key) => want.elements.has(key))
    if (gone.length > 0) dropped.push(`delete element ${t} ${name} { ${gone.join(', ')} }`)
    if (come.length > 0) filled.push(`add element ${t} ${name} { ${come.map((key) => formatElement(key, want.elements.get(key))).join(', ')} }`)
  }
  for (const name of chainNames) {
    const [is, want] = [actual.chains.get(name), desired.chains.get(name)]
    if (!want) {
      if (is && is.rules.length > 0) dropped.push(`flush chain ${t} ${name}`)
      else if (is) stale.push(`delete chain ${t} ${name}`)
      continue
    }
    if (!is) added.push(addChain(t, name, want))
    if (is && sameRules(is, want)) continue
    if (is && is.rules.length > 0) dropped.push(`flush chain ${t} ${name}`)
    rules.push(...addRules(t, name, want))
  }
  const changes = [...added, ...dropped, ...rules, ...filled]
  if (changes.length > 0) return { kind: 'change', commands: changes }
  return stale.length > 0 ? { kind: 'sweep', commands: stale } : { kind: 'none', commands: [] }
}

/** What the table is once the plan's commands were applied; changes `actual` in place where it can. */
export function settle(actual: NftTable | undefined, desired: NftTable, plan: NftPlan, scope?: NftScope): NftTable {
  if (!actual || plan.kind === 'create') return hashed(desired)
  const { chainNames, setNames } = namesIn(actual, desired, scope)
  for (const name of chainNames) {
    const want = desired.chains.get(name)
    if (plan.kind === 'sweep' && !want) actual.chains.delete(name)
    else if (plan.kind === 'change' && want) actual.chains.set(name, hashedChain(want))
    else if (plan.kind === 'change' && actual.chains.has(name)) actual.chains.set(name, { rules: [] })
  }
  for (const name of setNames) {
    const want = desired.sets.get(name)
    if (!want && plan.kind === 'sweep') actual.sets.delete(name)
    if (!want || plan.kind !== 'change') continue
    if (!scope || !actual.sets.has(name)) actual.sets.set(name, { ...want, elements: new Map(want.elements) })
    else settleElements(actual.sets.get(name), want, scope.sets.get(name) ?? [])
  }
  return actual
}

function namesIn(actual: NftTable, desired: NftTable, scope: NftScope | undefined): { chainNames: string[]; setNames: string[] } {
  if (scope) return { chainNames: [...new Set(scope.chains)], setNames: [...scope.sets.keys()] }
  return { chainNames: unique(actual.chains.keys(), desired.chains.keys()), setNames: unique(actual.sets.keys(), desired.sets.keys()) }
}

function settleElements(is: NftSet | undefined, want: NftSet, keys: Iterable<string>): void {
  for (const key of keys) {
    const value = want.elements.get(key)
    if (value === undefined) is?.elements.delete(key)
    else is?.elements.set(key, value)
  }
}

function hashed(table: NftTable): NftTable {
  return {
    ...table,
    chains: new Map([...table.chains].map(([name, chain]) => [name, hashedChain(chain)])),
    sets: new Map([...table.sets].map(([name, set]) => [name, { ...set, elements: new Map(set.elements) }])),
  }
}

function hashedChain(chain: NftChain): NftChain {
  return { ...chain, rules: chain.rules.map(ruleHash) }
}

function createTable(desired: NftTable): string[] {
  const t = `${desired.family} ${desired.name}`
  return [
    `add table ${t}`,
    ...[...desired.sets].map(([name, set]) => addSet(t, name, set)),
    ...[...desired.chains].map(([name, chain]) => addChain(t, name, chain)),
    ...[...desired.chains].flatMap(([name, chain]) => addRules(t, name, chain)),
    ...[...desired.sets].filter(([, set]) => set.elements.size > 0).map(([name, set]) =>
      `add element ${t} ${name} { ${[...set.elements].map(([key, value]) => formatElement(key, value)).join(', ')} }`),
  ]
}

function addChain(t: string, name: string, chain: NftChain): string {
  const { hook } = chain
  return `add chain ${t} ${name}${hook ? ` { type ${hook.type} hook ${hook.hook} priority ${hook.priority} ; policy accept ; }` : ''}`
}

function addRules(t: string, name: string, chain: NftChain): string[] {
  return chain.rules.map((rule) => `add rule ${t} ${name} ${rule} comment "${ruleHash(rule)}"`)
}

function addSet(t: string, name: string, set: NftSet): string {
  const type = set.map ? `${set.key.join(' . ')} : ${set.map.join(' . ')}` : set.key.join(' . ')
  const dynamic = set.timeoutSeconds === undefined ? '' : ` flags dynamic,timeout ; timeout ${set.timeoutSeconds}s ;`
  return `add ${kindOf(set)} ${t} ${name} { type ${type} ;${dynamic} }`
}

function formatElement(key: string, value: string | undefined): string {
  return value ? `${key} : ${value}` : key
}

function kindOf(set: NftSet): 'map' | 'set' { return set.map ? 'map' : 'set' }

function sameRules(is: NftChain, want: NftChain): boolean {
  return is.rules.length === want.rules.length && want.rules.every((rule, i) => ruleHash(rule) === is.rules[i])
}

function isReshaped(is: NftSet | undefined, want: NftSet | undefined): boolean {
  return is !== undefined && want !== undefined && setShape(is) !== setShape(want)
}

function isRehooked(is: NftChain | undefined, want: NftChain | undefined): boolean {
  return is !== undefined && want !== undefined && hookShape(is.hook) !== hookShape(want.hook)
}

function unique(...lists: Iterable<string>[]): string[] {
  return [...new Set(lists.flatMap((list) => [...list]))]
}
