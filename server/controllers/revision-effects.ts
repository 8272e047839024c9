/** The effects of decisions on ControllerRevisions. */
import { isReason, type Client } from '#api/client/client.ts'
import { CONTROLLER_REVISIONS, type ControllerRevision } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { unlessGone } from './controller.ts'
import { jsonEqual } from './json-equal.ts'
import type { Revision, RevisionAction } from './revisions.ts'

/** `collided`: the name is somebody else's, or of another template. */
export function revisionEffects(client: Client, namespace: string, collided: (signal: AbortSignal) => Promise<void>): Effects<RevisionAction> {
  return {
    async createRevision({ revision }, signal) {
      try {
        await client.create<ControllerRevision>(CONTROLLER_REVISIONS, revision, { signal })
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error
        const found: Revision = await client.get<ControllerRevision>(CONTROLLER_REVISIONS, revision.metadata?.name ?? '', namespace, signal)
        const isOurs = found.metadata.ownerReferences?.some((o) => o.uid === revision.metadata?.ownerReferences?.[0]?.uid)
        // Our own, from a pass whose informer had not shown it yet.
        if (!isOurs || !jsonEqual(found.data, revision.data)) await collided(signal)
      }
    },
    async renumberRevision({ revision, number }, signal) {
      await client.update<ControllerRevision>(CONTROLLER_REVISIONS, { ...revision, revision: number }, { signal })
    },
    async deleteRevision({ name, uid }, signal) {
      await unlessGone(client.delete(CONTROLLER_REVISIONS, name, namespace, { preconditions: { uid }, signal }))
    },
  }
}
