/** Nothing is created in a namespace that is missing or going; the system's own namespaces stay. */
import type { Namespace } from '#api/types/index.ts'
import { NAMESPACES } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

const IMMORTAL: ReadonlySet<string> = new Set(['default', 'kube-system', 'kube-public'])

export const namespaceLifecycle: AdmissionPlugin = {
  name: 'NamespaceLifecycle',

  mutate(request, api) {
    if (isFor(request, '', 'namespaces')) {
      return request.operation === 'DELETE' && request.subresource === '' && IMMORTAL.has(request.name) ? Promise.resolve(refuse('this namespace may not be deleted')) : undefined
    }
    if (request.namespace === '' || request.operation !== 'CREATE') return undefined
    if (request.ref.group === 'authorization.k8s.io') return undefined
    return checkNamespace(request, api)
  },
}

async function checkNamespace(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const { namespace } = request
  const found = await findNamespace(api, namespace)
  if (!found) return { code: 404, reason: 'NotFound', message: `namespaces "${namespace}" not found`, about: { group: '', resource: 'namespaces', name: namespace } }
  if (found.status?.phase !== 'Terminating') return undefined
  return {
    ...refuse(`unable to create new content in namespace ${namespace} because it is being terminated`),
    causes: [{ reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' }],
  }
}

async function findNamespace(api: AdmissionApi, name: string): Promise<Namespace | undefined> {
  try {
    return await api.client.get<Namespace>(NAMESPACES, name)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
