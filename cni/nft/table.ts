/**
 * An nftables table as data: what it should be, and what it is. Rules are kept as nft's own text; each rule carries a
 * comment with a hash of its text, so that a table read back from the kernel can be compared without understanding rules.
 */
import { createHash } from 'node:crypto'

export interface NftTable {
  family: 'ip'
  name: string
  chains: Map<string, NftChain>
  sets: Map<string, NftSet>
}

export interface NftHook { type: 'nat' | 'filter'; hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'; priority: number }

export interface NftChain {
  /** Set on base chains. The policy is always accept. */
  hook?: NftHook
  /** nft's text without a comment. As read back from the kernel: only the hashes. */
  rules: readonly NftRule[]
}

export type NftRule = string

/** A set, or a map when `map` is there. Types as nft names them: `ipv4_addr`, `inet_proto`, `inet_service`, `verdict`. */
export interface NftSet {
  key: readonly string[]
  map?: readonly string[]
  /** Filled by rules, with elements that end by themselves: session affinity. Its elements are not ours to compare. */
  timeoutSeconds?: number
  /** Key and value as nft prints them: `10.43.0.1 . tcp . 443` to `goto service-…`; the value is '' in a set. */
  elements: Map<string, string>
}

export function emptyTable(name: string): NftTable {
  return { family: 'ip', name, chains: new Map(), sets: new Map() }
}

/** What a rule's comment says: 48 bits, enough to tell an edited or foreign rule from ours. */
export function ruleHash(rule: NftRule): string {
  return createHash('sha256').update(rule).digest('base64url').slice(0, 8)
}

export function setShape(set: NftSet): string {
  return `${set.key.join(' . ')} : ${set.map?.join(' . ') ?? ''} : ${set.timeoutSeconds ?? ''}`
}

export function hookShape(hook: NftHook | undefined): string {
  return hook ? `${hook.type} ${hook.hook} ${hook.priority}` : ''
}
