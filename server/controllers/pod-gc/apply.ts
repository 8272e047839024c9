/** The effect of pod garbage collection: a pod marked as failed, then removed at once. */
import type { Client } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import { NODES, PODS, isPodTerminal, type Pod } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { unlessGone } from '../controller.ts'
import { withDisruptionTarget } from '../disruption-target.ts'
import type { PodGcAction, PodGcView } from './decide.ts'

export function podGcEffects({ pod }: PodGcView, client: Client, clock: Clock): Effects<PodGcAction> {
  const { name, namespace, uid } = pod.metadata
  return {
    async remove({ because, verifyNodeGone }, signal) {
      if (verifyNodeGone !== undefined && await nodeExists(client, verifyNodeGone, signal)) return
      if (!isPodTerminal(pod)) {
        const status = because === 'Orphaned' ? withDisruptionTarget(pod, 'DeletionByPodGC', 'PodGC: node no longer exists', clock.nowMs()) : undefined
        await unlessGone(client.update<Pod>(PODS, { ...pod, status: { ...(status ?? pod.status), phase: 'Failed' } }, { subresource: 'status', signal }))
      }
      await unlessGone(client.delete(PODS, name, namespace, { gracePeriodSeconds: 0, preconditions: { uid }, signal }))
    },
  }
}

/** The informer may be behind: asked for once more before a pod is thrown away. */
async function nodeExists(client: Client, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    await client.get(NODES, name, undefined, signal)
    return true
  } catch (error) {
    if (isReason(error, 'NotFound')) return false
    throw error
  }
}
