/**
 * The table that should be, kept current Service by Service, and a note of what changed since the kernel last had it: so
 * that a change costs what it changes, not what there is. Synchronous.
 */
import { diffTable, ruleHash, type NftSet, type NftTable } from '#cni/index.ts'
import type { Fragment } from './rules.ts'

export class RuleTable {
  readonly desired: NftTable
  readonly #fragments = new Map<string, Fragment>()
  /** Owners by set and element, where more than one Service claims it; the first in name order has it. */
  readonly #claims = new Map<string, Set<string>>()
  /** The changed parts as the kernel still has them: rules as hashes. */
  #before: NftTable
  #touchedChains = new Set<string>()
  /** Keys by set. */
  readonly #touchedElements = new Map<string, Set<string>>()
  /** Deleted only once nothing refers to them: see diffTable. */
  #stale = { chains: new Set<string>(), sets: new Set<string>() }

  constructor(base: NftTable) {
    this.desired = base
    this.#before = { ...base, chains: new Map(), sets: new Map() }
  }

  owners(): string[] { return [...this.#fragments.keys()] }
  fragment(owner: string): Fragment | undefined { return this.#fragments.get(owner) }

  /** Replaces what `owner` has in the table; undefined removes it. */
  put(owner: string, next: Fragment | undefined): void {
    const last = this.#fragments.get(owner)
    for (const name of new Set([...last?.chains.keys() ?? [], ...next?.chains.keys() ?? []])) this.#putChain(name, next?.chains.get(name))
    for (const name of new Set([...last?.sets.keys() ?? [], ...next?.sets.keys() ?? []])) this.#putSet(name, next?.sets.get(name))
    if (next) this.#fragments.set(owner, next)
    else this.#fragments.delete(owner)
    for (const set of new Set([...last?.elements.keys() ?? [], ...next?.elements.keys() ?? []])) {
      const [was, will] = [last?.elements.get(set), next?.elements.get(set)]
      for (const key of new Set([...was?.keys() ?? [], ...will?.keys() ?? []])) this.#claim(owner, { set, key, isClaimed: will?.has(key) ?? false })
    }
  }

  /** nft commands that take the kernel from what it last had to `desired`; none when nothing changed. */
  commands(): string[] {
    if (this.#touchedChains.size === 0 && this.#touchedElements.size === 0) return []
    const plan = diffTable(this.#before, this.desired, { chains: this.#touchedChains, sets: this.#touchedElements })
    // Deleting what is emptied is for `sweepCommands`, in its own time.
    return plan.kind === 'sweep' ? [] : plan.commands
  }

  /** The kernel has `desired` now. Chains and sets that are gone from it are still there, emptied, until swept. */
  settled(leftovers: { chains: Iterable<string>; sets: Iterable<string> } = { chains: this.#before.chains.keys(), sets: this.#before.sets.keys() }): void {
    for (const name of leftovers.chains) if (!this.desired.chains.has(name)) this.#stale.chains.add(name)
    for (const name of leftovers.sets) if (!this.desired.sets.has(name)) this.#stale.sets.add(name)
    this.#before = { ...this.desired, chains: new Map(), sets: new Map() }
    this.#touchedChains = new Set()
    this.#touchedElements.clear()
  }

  /** Deletes what was emptied and is not wanted again. To be asked once: it forgets. */
  sweepCommands(): string[] {
    const { chains, sets } = this.#stale
    this.#stale = { chains: new Set(), sets: new Set() }
    const t = `${this.desired.family} ${this.desired.name}`
    return [
      ...[...chains].filter((n) => !this.desired.chains.has(n)).map((n) => `delete chain ${t} ${n}`),
      ...[...sets].filter((n) => !this.desired.sets.has(n)).map((n) => `delete set ${t} ${n}`),
    ]
  }

  hasStale(): boolean { return this.#stale.chains.size + this.#stale.sets.size > 0 }

  #putChain(name: string, rules: readonly string[] | undefined): void {
    const is = this.desired.chains.get(name)
    if (is && rules && is.rules.length === rules.length && is.rules.every((r, i) => r === rules[i])) return
    if (!this.#touchedChains.has(name)) {
      this.#touchedChains.add(name)
      if (is) this.#before.chains.set(name, { rules: is.rules.map(ruleHash) })
      // Emptied and not swept yet: it must be filled, not made.
      else if (this.#stale.chains.has(name)) this.#before.chains.set(name, { rules: [] })
    }
    if (rules) this.desired.chains.set(name, { rules })
    else this.desired.chains.delete(name)
  }

  #putSet(name: string, set: NftSet | undefined): void {
    const is = this.desired.sets.get(name)
    if (is && set && is.timeoutSeconds === set.timeoutSeconds) return
    if (!this.#touchedElements.has(name)) {
      this.#touchedElements.set(name, new Set())
      if (is) this.#before.sets.set(name, is)
    }
    if (set) this.desired.sets.set(name, set)
    else this.desired.sets.delete(name)
  }

  #claim(owner: string, claim: { set: string; key: string; isClaimed: boolean }): void {
    const id = `${claim.set} ${claim.key}`
    const owners = this.#claims.get(id) ?? new Set<string>()
    if (claim.isClaimed) this.#claims.set(id, owners.add(owner))
    else owners.delete(owner)
    if (owners.size === 0) this.#claims.delete(id)
    const first = owners.size > 1 ? [...owners].sort()[0] : [...owners][0]
    const value = first === undefined ? undefined : this.#fragments.get(first)?.elements.get(claim.set)?.get(claim.key)
    this.#putElement(claim.set, claim.key, value)
  }

  #putElement(setName: string, key: string, value: string | undefined): void {
    const set = this.desired.sets.get(setName)
    const is = set?.elements.get(key)
    if (!set || is === value) return
    const touched = this.#touchedElements.get(setName) ?? new Set<string>()
    if (!touched.has(key)) {
      this.#touchedElements.set(setName, touched.add(key))
      const before: NftSet = this.#before.sets.get(setName) ?? { ...set, elements: new Map() }
      if (is !== undefined) before.elements.set(key, is)
      this.#before.sets.set(setName, before)
    }
    if (value === undefined) set.elements.delete(key)
    else set.elements.set(key, value)
  }
}
