/**
 * APIServices for the group versions that this server serves itself, as upstream's autoregister controller keeps them: its own
 * once at each start, those of custom resources always. APIServices without its label are nobody's but their owner's.
 */
import { isReason, type Client } from '#api/client/client.ts'
import type { APIService, Stored } from '#api/types/index.ts'
import { API_SERVICES } from './api-services.ts'
import { builtinPriority, CUSTOM_RESOURCE_PRIORITY, type Priority } from './priorities.ts'

export const AUTO_LABEL = 'kube-aggregator.kubernetes.io/automanaged'

export interface LocalVersion { group: string; version: string; /** Of a CustomResourceDefinition. */ isCustom: boolean }

export type RegistrationAction =
  | { kind: 'create'; apiService: APIService }
  | { kind: 'update'; apiService: Stored<APIService> }
  | { kind: 'delete'; name: string; uid: string }

/** `atStart`: what is registered once only is looked at, too. */
export function decideRegistration(local: readonly LocalVersion[], found: readonly Stored<APIService>[], atStart: boolean): RegistrationAction[] {
  const actions: RegistrationAction[] = []
  const byName = new Map(found.map((f) => [f.metadata.name ?? '', f]))
  const wanted = new Set<string>()
  for (const version of local) {
    const apiService = localApiService(version)
    const name = apiService.metadata?.name ?? ''
    wanted.add(name)
    if (!version.isCustom && !atStart) continue
    const there = byName.get(name)
    if (!there) actions.push({ kind: 'create', apiService })
    else if (there.metadata.labels?.[AUTO_LABEL] !== undefined && !isSame(there, apiService)) {
      actions.push({ kind: 'update', apiService: { ...there, metadata: { ...there.metadata, labels: { ...there.metadata.labels, ...apiService.metadata?.labels } }, ...(apiService.spec && { spec: apiService.spec }) } })
    }
  }
  for (const [name, there] of byName) {
    const mode = there.metadata.labels?.[AUTO_LABEL]
    if (!wanted.has(name) && (mode === 'true' || (mode === 'onstart' && atStart))) actions.push({ kind: 'delete', name, uid: there.metadata.uid ?? '' })
  }
  return actions
}

export const localPriority = ({ group, version, isCustom }: LocalVersion): Priority => (isCustom ? CUSTOM_RESOURCE_PRIORITY : builtinPriority(group, version))

function localApiService(local: LocalVersion): APIService {
  const { group, version, isCustom } = local
  const priority = localPriority(local)
  return {
    apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: `${version}.${group}`, labels: { [AUTO_LABEL]: isCustom ? 'true' : 'onstart' } },
    spec: { ...(group !== '' && { group }), version, groupPriorityMinimum: priority.group, versionPriority: priority.version },
  }
}

function isSame({ metadata, spec }: Stored<APIService>, wanted: APIService): boolean {
  return metadata.labels?.[AUTO_LABEL] === wanted.metadata?.labels?.[AUTO_LABEL] && spec?.service === undefined && (spec?.group ?? '') === (wanted.spec?.group ?? '') && spec?.version === wanted.spec?.version
    && spec?.groupPriorityMinimum === wanted.spec?.groupPriorityMinimum && spec?.versionPriority === wanted.spec?.versionPriority
}

/** Others may be at it, too: what they did first is as good. */
export async function applyRegistration(client: Client, actions: readonly RegistrationAction[]): Promise<void> {
  for (const action of actions) {
    try {
      if (action.kind === 'create') await client.create<APIService>(API_SERVICES, action.apiService)
      else if (action.kind === 'update') await client.update<APIService>(API_SERVICES, action.apiService)
      else await client.delete(API_SERVICES, action.name, undefined, { preconditions: { uid: action.uid } })
    } catch (error) {
      if (!isReason(error, 'AlreadyExists', 'Conflict', 'NotFound')) throw error
    }
  }
}
