/** Wires the TTL-after-finished controller. The Job is read anew before it goes: its owner may have given it more time. */
import { JOBS, keyOf, type Job, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, unlessGone, type ControllerFactory } from '../controller.ts'
import { decideTtl, type TtlAction } from './decide.ts'

export const ttlAfterFinishedController: ControllerFactory = (deps) => {
  const { client, clock, random } = deps
  const jobs = deps.informers.of<Job>(JOBS)
  const loop = createLoop<Stored<Job>, TtlAction>({
    name: 'ttl-after-finished-controller',
    observe: (key) => jobs.get(key),
    decide: decideTtl,
    effects: ({ metadata: { name, namespace } }) => ({
      async remove({ uid }, signal) {
        await unlessGone(removeExpired(uid, signal))
        async function removeExpired(of: string, until: AbortSignal) {
          const fresh = await client.get<Job>(JOBS, name, namespace, until)
          if (fresh.metadata.uid !== of || decideTtl(fresh, { nowMs: clock.nowMs(), random }).actions.length === 0) return
          await client.delete(JOBS, name, namespace, { propagationPolicy: 'Foreground', preconditions: { uid: of, resourceVersion: fresh.metadata.resourceVersion }, signal: until })
        }
      },
    }),
    isOrdinary,
  }, deps)
  const isOfInterest = (job: Stored<Job>): boolean => job.spec?.ttlSecondsAfterFinished !== undefined && job.metadata.deletionTimestamp === undefined
  jobs.onChange((_, after) => { if (after && isOfInterest(after)) loop.queue.add(keyOf(after)) })
  return { name: 'ttl-after-finished-controller', run: (signal) => loop.run(signal) }
}
