/** NamespaceExists and NamespaceAutoProvision: what upstream had before NamespaceLifecycle, for who still asks for it. */
import { NAMESPACES, type Namespace } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { isFor } from './refuse.ts'

const isInNamespace = (request: AdmissionRequest): boolean => request.namespace !== '' && !isFor(request, '', 'namespaces')

export const namespaceExists: AdmissionPlugin = {
  name: 'NamespaceExists',
  async validate(request, api) {
    if (!isInNamespace(request) || request.operation === 'CONNECT' || (await exists(request.namespace, api))) return undefined
    return { code: 404, reason: 'NotFound', message: `namespaces "${request.namespace}" not found`, about: { group: '', resource: 'namespaces', name: request.namespace } }
  },
}

export const namespaceAutoProvision: AdmissionPlugin = {
  name: 'NamespaceAutoProvision',
  async mutate(request, api) {
    if (!isInNamespace(request) || request.operation !== 'CREATE' || request.dryRun || (await exists(request.namespace, api))) return undefined
    try {
      await api.client.create<Namespace>(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: request.namespace } })
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error
    }
    return undefined
  },
}

async function exists(name: string, api: AdmissionApi): Promise<boolean> {
  try {
    await api.client.get<Namespace>(NAMESPACES, name)
    return true
  } catch (error) {
    if (isReason(error, 'NotFound')) return false
    throw error
  }
}
