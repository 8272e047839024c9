/** The effects of EndpointSlice decisions. */
import type { Client } from '#api/client/client.ts'
import { ENDPOINT_SLICES, type EndpointSlice } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { isNamespaceTerminating, unlessGone } from '../controller.ts'
import type { RecentWrites } from '../recent-writes.ts'
import type { EndpointSliceAction } from './decide.ts'

export function endpointSliceEffects(key: string, namespace: string, client: Client, recent: RecentWrites<EndpointSlice>): Effects<EndpointSliceAction> {
  return {
    async createSlice({ slice }, signal) {
      try {
        recent.created(key, await client.create<EndpointSlice>(ENDPOINT_SLICES, slice, { signal }))
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error
      }
    },
    async updateSlice({ slice }, signal) {
      await client.update<EndpointSlice>(ENDPOINT_SLICES, slice, { signal })
    },
    async deleteSlice({ name, uid }, signal) {
      await unlessGone(client.delete(ENDPOINT_SLICES, name, namespace, { preconditions: { uid }, signal }))
    },
  }
}
