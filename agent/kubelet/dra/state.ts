/** What is known of the claims that pods here use, and how it outlives the agent: `dra_manager_state`, whose content is our own. */
import { createHash } from 'node:crypto'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

export interface ClaimDevice {
  readonly pool: string
  readonly device: string
  /** '': the device is nobody else's. */
  readonly share: string
  /** Of the claim, that it was given for; none: for all. */
  readonly requests: readonly string[]
  /** As the container runtime knows it. */
  readonly cdi: readonly string[]
}

export interface Claim {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  /** Pods, by uid, for which it is prepared or is about to be. */
  readonly pods: readonly string[]
  /** By driver; none yet: its driver has not said which. */
  readonly drivers: Readonly<Record<string, readonly ClaimDevice[]>>
}

const FILE = 'dra_manager_state'
const BYTES_MAX = 16 * 1024 * 1024

interface Kept { checksum: string; claims: readonly Claim[] }

/** What is damaged is set aside and told of once: the pods that are here say anew which claims they use. */
export async function readClaims(directory: string, log: Log): Promise<readonly Claim[]> {
  const path = join(directory, FILE)
  try {
    const text = await readFile(path, 'utf8')
    const kept = text.length > BYTES_MAX ? undefined : parsed(text)
    if (kept && Array.isArray(kept.claims) && kept.checksum === checksumOf(kept.claims)) return kept.claims
    await rename(path, `${path}.damaged`)
    log.error('the record of prepared resource claims is damaged and was set aside: claims of pods that are here are prepared anew; what pods that are gone had stays prepared until their drivers start anew', { file: `${path}.damaged` })
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) log.error('the record of prepared resource claims cannot be read and is ignored: claims of pods that are here are prepared anew', { file: path, error: asError(error) })
  }
  return []
}

export function writeClaims(directory: string, claims: readonly Claim[]): Promise<void> {
  const kept: Kept = { checksum: checksumOf(claims), claims }
  return writeFileAtomic(join(directory, FILE), JSON.stringify(kept), { mode: 0o600, directoryMode: 0o750 })
}

const checksumOf = (claims: readonly Claim[]): string => createHash('sha256').update(JSON.stringify(claims)).digest('hex')

function parsed(text: string): Partial<Kept> | undefined {
  try {
    const value = JSON.parse(text) as Partial<Kept> | null
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
