/** What a store must hold after a power cut, from what its clients were told before it. Pure. */

/** Writes to one object come one after the other, with growing `n`. */
export interface Write { name: string; n: number; deletes: boolean; askedMs: number; toldMs?: number; revision?: number }

/** As found; `n` 0: there is no such object. */
export interface Found { n: number; filler: string; revision: number }

/** From 100 bytes to 12 kB, told by name and number: half a write is found out. */
export function fillerOf(name: string, n: number): string {
  const hash = Buffer.from(`${name}/${n}`).reduce((h, c) => (Math.imul(h, 31) + c) >>> 0, 7)
  return `${hash.toString(36)}.`.repeat(10 + (hash % 1_500)).slice(0, 100 + (hash % 12_000))
}

/** Each fault in a sentence. `cutMs`: what was told before then must be there. */
export function faultsOf(writes: readonly Write[], cutMs: number, found: ReadonlyMap<string, Found>): string[] {
  const faults: string[] = []
  const byName = Map.groupBy(writes, (w) => w.name)
  for (const [name, all] of byName) {
    const told = all.findLast((w) => w.toldMs !== undefined && w.toldMs < cutMs)
    const is = found.get(name)
    // The newest that was told, or any that was asked for later; before the first there is nothing.
    const may = [...(told ? [told] : []), ...all.filter((w) => w.askedMs <= cutMs && (!told || w.n > told.n))]
    if (!is) {
      if (told && !may.some((w) => w.deletes)) faults.push(`${name} is not there: ${told.n} was acknowledged`)
      continue
    }
    const source = may.find((w) => w.n === is.n && !w.deletes)
    if (!source) faults.push(`${name} is ${is.n}, ${told ? `${told.n}${told.deletes ? ' (its deletion)' : ''} was acknowledged` : 'which nobody asked for'}`)
    else if (source.revision !== undefined && source.revision !== is.revision) faults.push(`${name} ${is.n} has revision ${is.revision}, its writer was told ${source.revision}`)
    if (is.filler !== fillerOf(name, is.n)) faults.push(`${name} ${is.n} is not whole`)
  }
  for (const name of found.keys()) if (!byName.has(name)) faults.push(`${name} is there and nobody wrote it`)
  return faults
}
