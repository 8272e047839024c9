/** A server asks to be taken in, or tells that it has another address now. */
import type { MemberId } from '../raft/types.ts'

export interface MemberRequest {
  member: MemberId
  /** `host:port` under which the other servers reach it. */
  address: string
  /** `--node-name`, or the host's: what people call it. No two servers have the same. */
  name: string
}

const BYTES_MAX = 16 * 1024

/** Undefined: it is none. */
export function parseMemberRequest(body: Buffer | undefined): MemberRequest | undefined {
  if (!body || body.length > BYTES_MAX) return undefined
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch {
    // Not even JSON.
    return undefined
  }
  const { member, address, name } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (!Number.isSafeInteger(member) || (member as number) <= 0 || typeof name !== 'string' || !/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)) return undefined
  return isAddress(address) ? { member: member as number, address, name } : undefined
}

export function isAddress(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > 300 || !/^[^/?#@\s]+:\d{1,5}$/.test(value)) return false
  return URL.canParse(`https://${value}`)
}
