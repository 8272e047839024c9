/** Waits until the drivers of devices have made them ready for a pod that is about to be bound (upstream's PreBind, which looks every five seconds). */
import type { Informer } from '#api/client/client.ts'
import { keyOf, type ResourceV1ResourceClaim } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { BINDING_MS_MAX, deadlineMs, readinessOf } from './binding-conditions.ts'
import type { Claim } from './device-lookup.ts'

/** `written`: the claims as they were told whose they are. Rejects, in upstream's words, when one will not be ready, or is no longer the pod's. */
export async function untilReady(written: readonly Claim[], podUid: string, { claims, clock, signal }: { claims: Informer<ResourceV1ResourceClaim>; clock: Clock; signal: AbortSignal }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (message: string): void => reject(new CodedError('DEVICES_NOT_READY', message))
  const look = (): void => {
    const now = written.map((claim) => known(claim, claims))
    const lost = now.find(({ status }) => !status?.allocation || !status.reservedFor?.some((r) => r.uid === podUid))
    if (lost) return fail(`claim ${keyOf(lost)} got deallocated elsewhere in the meantime`)
    const found = now.map(readinessOf)
    const failed = found.find((readiness) => readiness.is === 'failed')
    if (failed) return fail(failed.why)
    if (found.every(({ is }) => is === 'ready')) resolve()
  }
  const offs = [claims.onChange((before, after) => {
    const name = keyOf(after ?? before ?? {})
    const claim = written.find((c) => keyOf(c) === name)
    if (claim && (!after || after.metadata.uid !== claim.metadata.uid)) fail(`claim ${name} got deleted in the meantime`)
    else if (claim) look()
  })]
  const stop = (): void => fail('the scheduler is stopping')
  signal.addEventListener('abort', stop, { once: true })
  const untilMs = Math.min(clock.nowMs() + BINDING_MS_MAX, ...written.map((claim) => deadlineMs(claim) ?? Infinity))
  const late = (): void => fail(`device binding timeout: claim=${written.map((claim) => known(claim, claims)).find((claim) => readinessOf(claim).is === 'waiting')?.metadata.name ?? ''}`)
  offs.push(clock.after(Math.max(0, untilMs - clock.nowMs()), late))
  look()
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', stop)
    for (const off of offs) off()
  }
}

/** As the informer has it, unless it does not know yet what was written. */
function known(claim: Claim, claims: Informer<ResourceV1ResourceClaim>): Claim {
  const now = claims.get(keyOf(claim))
  return now?.metadata.uid === claim.metadata.uid && BigInt(now.metadata.resourceVersion) >= BigInt(claim.metadata.resourceVersion) ? now : claim
}
