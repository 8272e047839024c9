/** The effects of namespace termination. */
import type { Client } from '#api/client/client.ts'
import { resourcePath } from '#api/client/path.ts'
import { NAMESPACES, type KubeObject, type Namespace, type Stored } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { unlessGone } from '../controller.ts'
import type { NamespaceAction, NamespaceView } from './decide.ts'

export function namespaceEffects(view: NamespaceView, client: Client): Effects<NamespaceAction> {
  let current: Stored<Namespace> = view.namespace
  const { name } = current.metadata
  return {
    async deleteCollection({ ref, oneByOne }, signal) {
      if (!oneByOne) {
        const options = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' }
        await client.raw('DELETE', resourcePath(ref, { namespace: name }), options, signal)
        return
      }
      const { items } = await client.list<KubeObject>(ref, { namespace: name, metadataOnly: true }, signal)
      for (const { metadata } of items) {
        await unlessGone(client.delete(ref, metadata.name, name, { propagationPolicy: 'Background', preconditions: { uid: metadata.uid }, signal }))
      }
    },
    async writeStatus({ phase, conditions }, signal) {
      current = await client.update<Namespace>(NAMESPACES, { ...current, status: { ...current.status, phase, conditions } }, { subresource: 'status', signal })
    },
    async finalize({ finalizers }, signal) {
      const object = { ...current, spec: { ...current.spec, finalizers } }
      await unlessGone(client.update<Namespace>(NAMESPACES, object, { subresource: 'finalize', signal }))
    },
  }
}
