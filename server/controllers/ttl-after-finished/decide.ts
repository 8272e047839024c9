/** A finished Job is removed once its `ttlSecondsAfterFinished` are over (KEP-592). Pure. */
import type { Job, Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { parseTime } from '../time.ts'

export type TtlAction = { kind: 'remove'; uid: string }

export function decideTtl(job: Stored<Job>, { nowMs }: DecideContext): Decision<TtlAction> {
  const ttlSeconds = job.spec?.ttlSecondsAfterFinished
  const finished = job.status?.conditions?.find((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True')
  if (ttlSeconds === undefined || !finished || job.metadata.deletionTimestamp !== undefined) return nothing('it has no end, or none yet')
  const finishedMs = parseTime(finished.lastTransitionTime)
  if (finishedMs === undefined) return nothing('nobody knows when it ended')
  const endMs = finishedMs + ttlSeconds * 1000
  return nowMs < endMs ? nothing('its time is not over yet', endMs) : { actions: [{ kind: 'remove', uid: job.metadata.uid }], because: `finished ${ttlSeconds} s ago` }
}
