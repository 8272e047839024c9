/** Names and MAC addresses are derived, so that a step repeated after a crash meets what it made before. */
import { createHash } from 'node:crypto'

/** The host end of a pod's veth pair: at most 15 bytes (IFNAMSIZ), 48 bits of the sandbox id's hash. */
export function hostDeviceName(id: string): string {
  return `skv${createHash('sha256').update(id).digest('hex').slice(0, 12)}`
}

/** Every device this node's network may have made for pods. */
export const HOST_DEVICE = /^skv[0-9a-f]{12}$/

/** Locally administered, unicast, stable for the same seed. */
export function derivedMac(seed: string): string {
  const bytes = createHash('sha256').update(seed).digest().subarray(0, 6)
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return [...bytes].map((b) => b.toString(16).padStart(2, '0')).join(':')
}

/** The device's alias: who it belongs to, kept by the kernel as long as the device lives. */
export function formatAlias(owner: { id: string; address: string }): string {
  return `skiff ${owner.address} ${owner.id}`
}

export function maybeAlias(text: string): { id: string; address: string } | undefined {
  const match = /^skiff (\d+\.\d+\.\d+\.\d+) (\S+)$/.exec(text)
  return match?.[1] !== undefined && match[2] !== undefined ? { address: match[1], id: match[2] } : undefined
}
