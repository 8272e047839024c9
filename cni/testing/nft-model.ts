/** A small nftables: takes the commands skiff writes, refuses what the kernel would. Only tests import this. */
import { emptyTable, type NftTable } from '../nft/table.ts'

interface Model { apply(commands: readonly string[]): void; /** As `observeTable` reads it: rules are hashes. */ read(): NftTable | undefined }

export function nftModel(): Model {
  type Chain = { hook: string | undefined; rules: { text: string; comment: string }[] }
  type State = { chains: Map<string, Chain>; sets: Map<string, { kind: string; spec: string; elements: Map<string, string> }> } | undefined
  let state: State
  const fail = (command: string, why: string): never => { throw new Error(`nft: ${why}: ${command}`) }

  const step = (s: State, command: string): State => {
    const [verb = '', what = '', family = '', , ...rest] = command.split(' ')
    if (family !== 'ip') fail(command, 'family')
    if (what === 'table') {
      if (verb === 'delete' && !s) fail(command, 'no such table')
      return verb === 'delete' ? undefined : s ?? { chains: new Map(), sets: new Map() }
    }
    const table: NonNullable<State> = s ?? fail(command, 'no such table')
    const [name = ''] = rest
    const tail = rest.slice(1).join(' ')
    if (what === 'chain') {
      if (verb === 'add') { if (!table.chains.has(name)) table.chains.set(name, { hook: tail || undefined, rules: [] }) }
      else if (!table.chains.has(name)) fail(command, 'no such chain')
      else if (verb === 'flush') table.chains.set(name, { hook: table.chains.get(name)?.hook, rules: [] })
      else {
        if (isReferred(table, name)) fail(command, 'busy')
        if (table.chains.get(name)?.rules.length) fail(command, 'chain with rules')
        table.chains.delete(name)
      }
    } else if (what === 'rule') {
      const chain = table.chains.get(name) ?? fail(command, 'no such chain')
      const match = / comment "([^"]+)"$/.exec(tail)
      chain.rules.push({ text: tail.slice(0, match?.index), comment: match?.[1] ?? '' })
      for (const target of targets(tail)) if (!table.chains.has(target)) fail(command, `no chain ${target}`)
      for (const [, set] of tail.matchAll(/@(\S+)/g)) if (!table.sets.has(set ?? '')) fail(command, `no set ${set}`)
    } else if (what === 'set' || what === 'map') {
      if (verb === 'add') { if (!table.sets.has(name)) table.sets.set(name, { kind: what, spec: tail, elements: new Map() }) }
      else {
        if ([...table.chains.values()].some((c) => c.rules.some((r) => r.text.split(' ').includes(`@${name}`)))) fail(command, 'busy')
        if (!table.sets.delete(name)) fail(command, 'no such set')
      }
    } else if (what === 'element') {
      const set = table.sets.get(name) ?? fail(command, 'no such set')
      for (const element of tail.replace(/^\{ | \}$/g, '').split(', ')) {
        const [key = '', value = ''] = element.split(' : ')
        if (verb === 'delete' && !set.elements.delete(key)) fail(command, `no element ${key}`)
        if (verb !== 'add') continue
        if (set.elements.has(key) && set.elements.get(key) !== value) fail(command, `element ${key} exists`)
        for (const target of targets(value)) if (!table.chains.has(target)) fail(command, `no chain ${target}`)
        set.elements.set(key, value)
      }
    } else fail(command, 'unknown')
    return table
  }
  const isReferred = (table: NonNullable<State>, chain: string) =>
    [...table.chains.values()].some((c) => c.rules.some((r) => targets(r.text).includes(chain))) || [...table.sets.values()].some((set) => [...set.elements.values()].some((v) => targets(v).includes(chain)))

  return {
    apply(commands) {
      // All or nothing.
      let next = structuredClone(state)
      for (const command of commands) next = step(next, command)
      state = next
    },
    read() {
      if (!state) return undefined
      const table = emptyTable('t')
      for (const [name, chain] of state.chains) {
        const match = /type (\S+) hook (\S+) priority (\S+)/.exec(chain.hook ?? '')
        const rules = chain.rules.map((r) => r.comment)
        table.chains.set(name, match ? { hook: { type: match[1] as 'nat', hook: match[2] as 'input', priority: Number(match[3]) }, rules } : { rules })
      }
      for (const [name, set] of state.sets) {
        const [key = '', map] = (/type ([^;]+) ;/.exec(set.spec)?.[1] ?? '').split(' : ')
        const timeout = /timeout (\d+)s/.exec(set.spec)?.[1]
        table.sets.set(name, { key: key.split(' . '), ...(map !== undefined && { map: map.split(' . ') }), ...(timeout !== undefined && { timeoutSeconds: Number(timeout) }), elements: new Map(set.elements) })
      }
      return table
    },
  }
}

function targets(text: string): string[] {
  return [...text.matchAll(/(?:goto|jump) ([^\s,}]+)/g)].map((m) => m[1] ?? '')
}
