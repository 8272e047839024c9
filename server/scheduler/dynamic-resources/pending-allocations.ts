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

  /** `known`: what the informer has. */
  wrote({ metadata }: Claim, known: Claim | undefined): void {
    if (!this.#all.has(metadata.uid)) return
    this.#written.set(metadata.uid, BigInt(metadata.resourceVersion))
    this.saw(metadata.uid, known)
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
