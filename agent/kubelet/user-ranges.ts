/**
 * Which ids of the host a pod's own users are (KEP-127): as many each, no two pods the same, kept in the pod's directory so that a
 * restart of the agent, or of the machine, changes nothing. They are free again when that directory goes.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import type { IdRange } from '#cri/index.ts'
import type { PodPaths } from './pod-paths.ts'

export interface UserRanges {
  /** The pod's, given now if it has none. Rejects with USER_RANGES_USED_UP, or when what is on disk makes no sense. */
  of(podUid: string): Promise<IdRange>
}

/** What ranges are made of. */
export const RANGE_UNIT = 65_536
const FILE = 'userns'

/**
 * `count`: how many pods may have users of their own at a time; `length`: how many each, a multiple of RANGE_UNIT. Pods that are here keep what they were given
 * when that was another. The first range is the host's own. Which of the free ones is chance, as
 * upstream has it: pods of two nodes that share a file system are to have different users, too.
 */
export function createUserRanges(paths: Pick<PodPaths, 'podsDir' | 'pod'>, { count, length }: { count: number; length: number }, random: Random): UserRanges {
  /** One at a time: two that look for a free one must not find the same. */
  let turn: Promise<unknown> = Promise.resolve()

  const given = async (podUid: string): Promise<IdRange | undefined> => {
    const path = join(paths.pod(podUid), FILE)
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
      throw error
    }
    const range = parseRange(text)
    if (!range) throw new CodedError('USER_RANGE_DAMAGED', `${path} does not say which users the pod has: delete the pod, and it will be removed`)
    return range
  }

  const give = async (podUid: string): Promise<IdRange> => {
    const own = await given(podUid)
    if (own) return own
    const taken: IdRange[] = []
    for (const uid of await readdir(paths.podsDir)) {
      // Of one whose file is damaged nobody knows what it holds: none is given that it might have.
      const range = await given(uid)
      if (range) taken.push(range)
    }
    const first = Math.floor(random.next() * count)
    for (let i = 0; i < count; i++) {
      const hostId = (((first + i) % count) + 1) * length
      if (taken.some((other) => hostId < other.hostId + other.length && other.hostId < hostId + length)) continue
      const mapping = [{ hostId, containerId: 0, length }]
      await writeFileAtomic(join(paths.pod(podUid), FILE), JSON.stringify({ uidMappings: mapping, gidMappings: mapping }))
      return { hostId, length }
    }
    throw new CodedError('USER_RANGES_USED_UP', 'could not find an empty slot to allocate a user namespace')
  }

  return {
    of(podUid) {
      const mine = turn.catch(() => {}).then(() => give(podUid)) // Who asked before heard of its own failure.
      turn = mine
      return mine
    },
  }
}

const isUnits = (value: unknown): value is number => typeof value === 'number' && value > 0 && value % RANGE_UNIT === 0

function parseRange(text: string): IdRange | undefined {
  try {
    const { uidMappings } = JSON.parse(text) as { uidMappings?: { hostId?: unknown; length?: unknown }[] }
    const [first] = uidMappings ?? []
    return isUnits(first?.hostId) && isUnits(first?.length) ? { hostId: first.hostId, length: first.length } : undefined
  } catch {
    return undefined // A write cut short: the caller says so.
  }
}
