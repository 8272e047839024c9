/**
 * What claims are about to be given: from the decision until what is known of the claim says so itself. Else somebody else would be given the same
 * devices between a write and the news of it.
 */
import type { AllocationResult } from '#api/types/index.ts'
import type { Claim } from './device-lookup.ts'

export class PendingAllocations {
  readonly #all = new Map<string, AllocationResult>()
  /** Of those that were written: the version that has it. */
  readonly #written = new Map<string, bigint>()

  /** By uid of the claim. */
  get all(): ReadonlyMap<string, AllocationResult> { return this.#all }

  promise(uid: string, allocation: AllocationResult): void { this.#all.set(uid, allocation) }

  /** `known`: what the informer has; nothing of a claim that it has not heard of yet. Had it heard of its end, there were no promise any more. */
  wrote({ metadata }: Claim, known: Claim | undefined): void {
    if (!this.#all.has(metadata.uid)) return
    this.#written.set(metadata.uid, BigInt(metadata.resourceVersion))
    if (known?.metadata.uid === metadata.uid) this.saw(metadata.uid, known)
  }

  /** All claims of a version are these: what was written until then and is not among them was deleted, untold. True: there was such. */
  listed(version: bigint, uids: ReadonlySet<string>): boolean {
    const gone = [...this.#written].filter(([uid, written]) => written <= version && !uids.has(uid))
    for (const [uid] of gone) this.saw(uid, undefined)
    return gone.length > 0
  }

  /** What was written is not taken back by this. */
  forget(uid: string): void { if (!this.#written.has(uid)) this.#all.delete(uid) }

  /** It says so itself from now on, was changed since, or is no more. */
  saw(uid: string, now: Claim | undefined): void {
    const written = this.#written.get(uid)
    const isStale = now?.metadata.uid === uid && now.status?.allocation === undefined && (written === undefined || BigInt(now.metadata.resourceVersion) < written)
    if (isStale) return
    this.#all.delete(uid)
    this.#written.delete(uid)
  }
}
