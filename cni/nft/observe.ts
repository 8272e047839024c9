/** Reads a table back from the kernel (`nft -j list table`). Rules come back as the hashes in their comments. */
import { CodedError } from '#base/errors.ts'
import type { Exec } from '../netlink/exec.ts'
import { text } from '../netlink/json.ts'
import { emptyTable, type NftHook, type NftSet, type NftTable } from './table.ts'

/** Undefined when there is no such table. */
export async function observeTable(exec: Exec, name: string): Promise<NftTable | undefined> {
  const result = await exec(['nft', '-j', 'list', 'table', 'ip', name])
  if (result.code === 0) return parseTable(name, result.stdout)
  if (/No such file or directory/.test(result.stderr)) return undefined
  throw new CodedError('NFT_FAILED', `nft cannot list table ip ${name}: ${result.stderr.trim().slice(0, 300)}`)
}

export function parseTable(name: string, json: string): NftTable {
  const table = emptyTable(name)
  const parsed = JSON.parse(json) as { nftables?: unknown[] }
  const rules = new Map<string, string[]>()
  for (const item of parsed.nftables ?? []) {
    const { chain, rule, set, map } = item as Record<string, Record<string, unknown> | undefined>
    if (chain) {
      const list: string[] = []
      rules.set(text(chain['name']), list)
      const hook = parseHook(chain)
      table.chains.set(text(chain['name']), hook ? { hook, rules: list } : { rules: list })
    } else if (rule) rules.get(text(rule['chain']))?.push(text(rule['comment']))
    else if (set ?? map) table.sets.set(text((set ?? map)?.['name']), parseSet((set ?? map) ?? {}))
  }
  return table
}

function parseHook(chain: Record<string, unknown>): NftHook | undefined {
  if (typeof chain['hook'] !== 'string') return undefined
  return { type: chain['type'] as NftHook['type'], hook: chain['hook'] as NftHook['hook'], priority: Number(chain['prio']) }
}

function parseSet(raw: Record<string, unknown>): NftSet {
  const timeout = raw['timeout']
  const set: NftSet = { key: [raw['type']].flat().map(text), elements: new Map() }
  if (raw['map'] !== undefined) set.map = [raw['map']].flat().flatMap((t) => text(t).split(' . '))
  if (typeof timeout === 'number') {
    set.timeoutSeconds = timeout
    return set
  }
  for (const element of (raw['elem'] as unknown[] | undefined) ?? []) {
    if (set.map && Array.isArray(element)) set.elements.set(formatValue(element[0]), formatValue(element[1]))
    else set.elements.set(formatValue(element), '')
  }
  return set
}

/** A key or value in nft's own notation. */
function formatValue(value: unknown): string {
  if (typeof value !== 'object' || value === null) return text(value)
  const entry = value as Record<string, unknown>
  if (Array.isArray(entry['concat'])) return entry['concat'].map(formatValue).join(' . ')
  if (typeof entry['elem'] === 'object' && entry['elem'] !== null) return formatValue((entry['elem'] as Record<string, unknown>)['val'])
  if (typeof entry['prefix'] === 'object') {
    const { addr, len } = entry['prefix'] as { addr: unknown; len: unknown }
    return `${text(addr)}/${text(len)}`
  }
  for (const verdict of ['goto', 'jump']) {
    if (entry[verdict]) return `${verdict} ${text((entry[verdict] as Record<string, unknown>)['target'])}`
  }
  return Object.keys(entry)[0] ?? ''
}
