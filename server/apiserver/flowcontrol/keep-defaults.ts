/**
 * Keeps upstream's default flow schemas and priority levels in place: what is missing is made, what still follows the
 * defaults is brought up to date, what an admin has taken over stays theirs (`apf.kubernetes.io/autoupdate-spec`).
 */
import { isReason, type Client } from '#api/client/client.ts'
import { FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS, type FlowSchema, type KubeObject, type PriorityLevelConfiguration, type ResourceRef, type Stored } from '#api/types/index.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { AUTO_UPDATE_ANNOTATION, MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS, SUGGESTED_FLOW_SCHEMAS, SUGGESTED_PRIORITY_LEVELS } from './default-objects.ts'

const FIELD_MANAGER = 'api-priority-and-fairness-config-producer-v1'

type Configuration = FlowSchema | PriorityLevelConfiguration

export type DefaultAction<T> =
  | { kind: 'create'; object: T }
  | { kind: 'update'; object: T }
  /** A default of an earlier release that nobody took over. */
  | { kind: 'delete'; name: string; uid: string }

/** Pure. `mandatory` ones follow the defaults whatever anyone says. */
export function decideDefaults<T extends Configuration>(stored: readonly Stored<T>[], mandatory: readonly T[], suggested: readonly T[]): DefaultAction<T>[] {
  const known = new Map(stored.map((o) => [o.metadata.name, o]))
  const names = new Set([...mandatory, ...suggested].map((o) => o.metadata?.name))
  const settle = (wanted: T, isMandatory: boolean): DefaultAction<T>[] => {
    const current = known.get(wanted.metadata?.name ?? '')
    if (!current) return [{ kind: 'create', object: wanted }]
    const follows = isMandatory || followsDefaults(current)
    const spec = follows ? specWith(wanted, current, isMandatory) : current.spec
    if (current.metadata.annotations?.[AUTO_UPDATE_ANNOTATION] === String(follows) && semanticEqual(spec, current.spec)) return []
    const metadata = { ...current.metadata, annotations: { ...current.metadata.annotations, [AUTO_UPDATE_ANNOTATION]: String(follows) } }
    return [{ kind: 'update', object: { ...current, metadata, spec } }]
  }
  return [
    ...mandatory.flatMap((o) => settle(o, true)),
    ...suggested.flatMap((o) => settle(o, false)),
    ...stored.filter((o) => !names.has(o.metadata.name) && o.metadata.annotations?.[AUTO_UPDATE_ANNOTATION] === 'true').map((o) => ({ kind: 'delete' as const, name: o.metadata.name, uid: o.metadata.uid })),
  ]
}

/** The shares of `exempt` are the admin's to choose. */
function specWith(wanted: Configuration, current: Configuration, isMandatory: boolean): Configuration['spec'] {
  const exempt = current.spec && 'exempt' in current.spec ? current.spec.exempt : undefined
  return isMandatory && exempt && wanted.spec && 'exempt' in wanted.spec ? { ...wanted.spec, exempt } : wanted.spec
}

/** Without a word to the contrary, until somebody changes the spec. */
function followsDefaults(object: Configuration): boolean {
  const said = object.metadata?.annotations?.[AUTO_UPDATE_ANNOTATION]
  if (said === 'true' || said === 'false') return said === 'true'
  return object.metadata?.generation === 1
}

/** Rejects with the first ApiError that is not a race with another writer; safe to repeat. */
export async function keepFlowControlDefaults(client: Client, signal?: AbortSignal): Promise<void> {
  await keepKind<PriorityLevelConfiguration>(client, PRIORITY_LEVEL_CONFIGURATIONS, MANDATORY_PRIORITY_LEVELS, SUGGESTED_PRIORITY_LEVELS, signal)
  await keepKind<FlowSchema>(client, FLOW_SCHEMAS, MANDATORY_FLOW_SCHEMAS, SUGGESTED_FLOW_SCHEMAS, signal)
}

async function keepKind<T extends Configuration & KubeObject>(client: Client, ref: ResourceRef, mandatory: readonly T[], suggested: readonly T[], signal?: AbortSignal): Promise<void> {
  const { items } = await client.list<T>(ref, {}, signal)
  const options = { fieldManager: FIELD_MANAGER, ...(signal && { signal }) }
  // Side by side, so that one fsync carries them all.
  await Promise.all(decideDefaults(items, mandatory, suggested).map(async (action) => {
    try {
      if (action.kind === 'create') await client.create(ref, action.object, options)
      else if (action.kind === 'update') await client.update(ref, action.object, options)
      else await client.delete(ref, action.name, undefined, { preconditions: { uid: action.uid }, ...(signal && { signal }) })
    } catch (error) {
      // Another server starting at the same time was first.
      if (!isReason(error, 'AlreadyExists', 'Conflict', 'NotFound')) throw error
    }
  }))
}
