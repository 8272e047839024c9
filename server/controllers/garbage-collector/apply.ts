/** The effects of garbage collection, each guarded by the uid and version that were seen. */
import type { Client } from '#api/client/client.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { unlessGone } from '../controller.ts'
import type { GarbageAction } from './decide.ts'

export function garbageEffects(client: Client): Effects<GarbageAction> {
  const merge = 'application/merge-patch+json'
  return {
    async setOwners({ node, owners }, signal) {
      const patch = { metadata: { uid: node.uid, resourceVersion: node.resourceVersion, ownerReferences: owners.length > 0 ? owners : null } }
      await unlessGone(client.patch(node.ref, node.name, node.namespace, merge, patch, { signal }))
    },
    async removeFinalizer({ node, finalizer }, signal) {
      const finalizers = node.finalizers.filter((f) => f !== finalizer)
      const patch = { metadata: { uid: node.uid, resourceVersion: node.resourceVersion, finalizers: finalizers.length > 0 ? finalizers : null } }
      await unlessGone(client.patch(node.ref, node.name, node.namespace, merge, patch, { signal }))
    },
    async deleteObject({ node, policy }, signal) {
      const preconditions = { uid: node.uid, resourceVersion: node.resourceVersion }
      await unlessGone(client.delete(node.ref, node.name, node.namespace, { propagationPolicy: policy, preconditions, signal }))
    },
  }
}
