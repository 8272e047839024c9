/** The effects of Endpoints decisions. */
import type { Client } from '#api/client/client.ts'
import { ENDPOINTS, type Endpoints } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { isNamespaceTerminating, unlessGone } from '../controller.ts'
import type { EndpointsAction } from './decide.ts'

export function endpointsEffects(namespace: string, client: Client): Effects<EndpointsAction> {
  return {
    async create({ endpoints }, signal) {
      try {
        await client.create<Endpoints>(ENDPOINTS, endpoints, { signal })
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error
      }
    },
    async update({ endpoints }, signal) {
      await client.update<Endpoints>(ENDPOINTS, endpoints, { signal })
    },
    async delete({ name, uid }, signal) {
      await unlessGone(client.delete(ENDPOINTS, name, namespace, { preconditions: { uid }, signal }))
    },
  }
}
