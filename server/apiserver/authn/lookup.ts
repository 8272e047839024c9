/** Reading single objects of the API from inside: fresh, as the API server itself. Who wires it decides between client, store and informer. */
import { isReason, type Client } from '#api/client/client.ts'
import type { KubeObject, ResourceRef, Stored } from '#api/types/index.ts'

export interface Lookup {
  /** Undefined when there is none. Any other failure rejects: a token is then not believed. */
  get<T extends KubeObject>(ref: ResourceRef, name: string, namespace?: string): Promise<Stored<T> | undefined>
}

export function lookupFromClient(client: Client): Lookup {
  return {
    async get<T extends KubeObject>(ref: ResourceRef, name: string, namespace?: string) {
      try {
        return await client.get<T>(ref, name, namespace)
      } catch (error) {
        if (isReason(error, 'NotFound')) return undefined
        throw error
      }
    },
  }
}
