/** The node that a pod is bound to, for plugins that ask what it can do. */
import { NODES, type Node, type Stored } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi } from '../admission.ts'

/** The node that a pod names; undefined: there is none. */
export async function boundNode(name: string, api: AdmissionApi): Promise<Stored<Node> | undefined> {
  try {
    return await api.client.get<Node>(NODES, name)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
