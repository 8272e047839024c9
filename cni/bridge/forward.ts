/**
 * Docker and ufw set the policy of iptables' FORWARD chain to DROP; an accept in a table of ours does not help against it.
 * So two rules go to the top of that chain, where it exists and drops, as flannel and k3s do. (iptables-legacy is not seen here.)
 */
import type { Exec } from '../netlink/exec.ts'
import { text } from '../netlink/json.ts'
import { applyNft } from '../nft/apply.ts'

const CHAIN = 'ip filter FORWARD'
const COMMENT = 'skiff-cni'

export interface ForwardChain {
  drops: boolean
  /** Handles of our rules, whatever they say, with the hash part of their comment. */
  ours: { handle: number; comment: string }[]
}

/** Undefined when there is no such chain. */
export async function observeForward(exec: Exec): Promise<ForwardChain | undefined> {
  const result = await exec(['nft', '-j', 'list', 'chain', ...CHAIN.split(' ')])
  if (result.code !== 0) return undefined
  const found: ForwardChain = { drops: false, ours: [] }
  for (const item of (JSON.parse(result.stdout) as { nftables?: Record<string, Record<string, unknown>>[] }).nftables ?? []) {
    if (item['chain']?.['policy'] === 'drop') found.drops = true
    const comment = text(item['rule']?.['comment'])
    if (comment.startsWith(COMMENT)) found.ours.push({ handle: Number(item['rule']?.['handle']), comment })
  }
  return found
}

/** nft commands; none when the chain lets pods' traffic through already. Pure. */
export function decideForward(chain: ForwardChain | undefined, clusterCidr: string | undefined): string[] {
  if (!chain) return []
  const wanted = clusterCidr === undefined || !chain.drops ? [] : [`ip saddr ${clusterCidr}`, `ip daddr ${clusterCidr}`].map((match) => ({ match, comment: `${COMMENT} ${match}` }))
  const keep = chain.ours.filter((rule) => wanted.some((w) => w.comment === rule.comment))
  return [
    ...chain.ours.filter((rule) => !keep.includes(rule)).map((rule) => `delete rule ${CHAIN} handle ${rule.handle}`),
    ...wanted.filter((w) => !keep.some((rule) => rule.comment === w.comment)).map((w) => `insert rule ${CHAIN} ${w.match} counter accept comment "${w.comment}"`),
  ]
}

/** `clusterCidr` undefined: takes our rules away. */
export async function ensureForward(exec: Exec, clusterCidr: string | undefined): Promise<void> {
  await applyNft(exec, decideForward(await observeForward(exec), clusterCidr))
}
