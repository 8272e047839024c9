/** ResourceQuotaConfiguration of apiserver.config.k8s.io/v1: what nobody may use where no quota covers it. Pure. */
import type { Requirement } from '#api/quota/index.ts'

export interface LimitedResource {
  apiGroup: string
  resource: string
  /** Parts of names of what is used: `.storageclass.storage.k8s.io/requests.storage`. */
  matchContains: readonly string[]
  matchScopes: readonly Requirement[]
}

const VERSIONS = ['apiserver.config.k8s.io/v1', 'resourcequota.admission.k8s.io/v1beta1', 'resourcequota.admission.k8s.io/v1alpha1']
const KINDS = ['ResourceQuotaConfiguration', 'Configuration']

export function parseLimitedResources(input: unknown): { ok: true; limited: LimitedResource[] } | { ok: false; message: string } {
  const wrong = (message: string) => ({ ok: false as const, message })
  if (!isMapping(input)) return wrong('expected ResourceQuotaConfiguration')
  if (!KINDS.includes(String(input['kind'])) || !VERSIONS.includes(String(input['apiVersion']))) {
    return wrong(`no kind ${JSON.stringify(input['kind'] ?? '')} is registered for version ${JSON.stringify(input['apiVersion'] ?? '')}: expected ResourceQuotaConfiguration of ${VERSIONS[0] ?? ''}`)
  }
  const list = input['limitedResources'] ?? []
  if (!Array.isArray(list)) return wrong('limitedResources: must be a list')
  const limited: LimitedResource[] = []
  for (const [i, item] of list.entries()) {
    if (!isMapping(item) || typeof item['resource'] !== 'string' || item['resource'] === '') return wrong(`limitedResources[${i}].resource: Required value`)
    const contains = item['matchContains'] ?? []
    const scopes = item['matchScopes'] ?? []
    if (!Array.isArray(contains) || contains.some((part) => typeof part !== 'string')) return wrong(`limitedResources[${i}].matchContains: must be a list of texts`)
    if (!Array.isArray(scopes) || scopes.some((s) => !isMapping(s) || typeof s['scopeName'] !== 'string')) return wrong(`limitedResources[${i}].matchScopes: must be a list of scopes with a scopeName`)
    limited.push({ apiGroup: typeof item['apiGroup'] === 'string' ? item['apiGroup'] : '', resource: item['resource'], matchContains: contains as string[], matchScopes: scopes as Requirement[] })
  }
  return { ok: true, limited }
}

const isMapping = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
