/** What a server knows of itself as a member, in the database that its log and state are in: a lost disk is another member. */
import type { ClassicLevel } from 'classic-level'
import { CodedError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import type { MemberId } from '../raft/types.ts'

export interface MemberRecord {
  id: MemberId
  /** `host:port` of the server through which it joined, or is about to: undefined where the cluster began here. */
  joined?: string
  /** Several servers may belong to the cluster: started with --cluster-init, or joined. */
  clustered: boolean
  /** It was taken out of its cluster and must not come back. */
  removed: boolean
}

type Database = ClassicLevel<string, Buffer>

/** Neither of the log (`r`) nor of the state's own keys. */
const KEY = 'imember'

export async function readMember(db: Database): Promise<MemberRecord | undefined> {
  const bytes = await db.get(KEY, { valueEncoding: 'buffer' })
  if (bytes === undefined) return undefined
  let value: Partial<MemberRecord> = {}
  try {
    value = JSON.parse(bytes.toString()) as Partial<MemberRecord>
  } catch {
    // Told below.
  }
  const { id, clustered, removed, joined } = value
  if (!Number.isSafeInteger(id) || (id as number) <= 0) throw new CodedError('STORE_CORRUPT', 'which member of its cluster this server is cannot be read: move its data directory away and join it again, or restore a snapshot')
  return { id: id as number, clustered: clustered === true, removed: removed === true, ...(typeof joined === 'string' && { joined }) }
}

export async function writeMember(db: Database, record: MemberRecord): Promise<void> {
  await db.batch([recordOp(record)], { sync: true, valueEncoding: 'buffer' })
}

/** To be part of a larger batch. */
export const recordOp = (record: MemberRecord) => ({ type: 'put' as const, key: KEY, value: Buffer.from(JSON.stringify(record)) })

/** Never given twice, in all likelihood: 53 random bits. */
export const newMemberId = (random: Random): MemberId => 1 + Math.floor(random.next() * (Number.MAX_SAFE_INTEGER - 1))
