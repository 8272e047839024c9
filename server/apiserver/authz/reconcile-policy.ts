/**
 * Puts the default RBAC objects in place at start, as upstream's bootstrap hook does: creates what is missing, adds
 * missing rules and subjects to what is there, and never takes away what an admin added. An object whose autoupdate
 * annotation is "false" is left alone. Run again, it changes nothing.
 */
import { isReason, type Client } from '#api/client/client.ts'
import { CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS, type ClusterRole, type ClusterRoleBinding, type KubeObject, type ObjectMeta, type RbacV1Subject as Subject, type ResourceRef, type Role, type RoleBinding, type Stored } from '#api/types/index.ts'
import { AUTOUPDATE_ANNOTATION, defaultPolicy } from './default-policy.ts'
import { coversRules } from './rules.ts'

export interface PolicyChanges { created: number; updated: number; recreated: number }

/** Namespaces kube-system and kube-public must exist. Rejects with the first ApiError; safe to repeat. */
export async function reconcileDefaultPolicy(client: Client, signal?: AbortSignal): Promise<PolicyChanges> {
  const policy = defaultPolicy()
  const changes: PolicyChanges = { created: 0, updated: 0, recreated: 0 }
  await reconcileKind(client, CLUSTER_ROLES, policy.clusterRoles, mergeRole<ClusterRole>, changes, signal)
  await reconcileKind(client, ROLES, policy.roles, mergeRole<Role>, changes, signal)
  await reconcileKind(client, CLUSTER_ROLE_BINDINGS, policy.clusterRoleBindings, mergeBinding<ClusterRoleBinding>, changes, signal)
  await reconcileKind(client, ROLE_BINDINGS, policy.roleBindings, mergeBinding<RoleBinding>, changes, signal)
  return changes
}

type Merge<T> = (wanted: T, stored: Stored<T & KubeObject>) => { kind: 'keep' } | { kind: 'update'; object: T } | { kind: 'recreate' }

async function reconcileKind<T extends KubeObject>(client: Client, ref: ResourceRef, wanted: readonly T[], merge: Merge<T>, changes: PolicyChanges, signal?: AbortSignal): Promise<void> {
  // One list instead of a hundred gets: the start of a board waits for this.
  const stored = new Map((await client.list<T>(ref, {}, signal)).items.map((o) => [`${o.metadata.namespace ?? ''}/${o.metadata.name}`, o]))
  const settle = async (object: T) => {
    const known = stored.get(`${object.metadata?.namespace ?? ''}/${object.metadata?.name ?? ''}`)
    if (!known) {
      await createUnlessThere(client, ref, object, signal)
      changes.created++
      return
    }
    if (known.metadata.annotations?.[AUTOUPDATE_ANNOTATION] === 'false') return
    const decision = merge(object, known)
    if (decision.kind === 'update') {
      await client.update(ref, decision.object, signal ? { signal } : {})
      changes.updated++
    } else if (decision.kind === 'recreate') {
      await client.delete(ref, known.metadata.name, known.metadata.namespace, { preconditions: { uid: known.metadata.uid }, ...(signal && { signal }) })
      await createUnlessThere(client, ref, object, signal)
      changes.recreated++
    }
  }
  // Side by side, so that one group commit (one fsync) carries a whole batch.
  for (let at = 0; at < wanted.length; at += WRITES_AT_ONCE) await Promise.all(wanted.slice(at, at + WRITES_AT_ONCE).map(settle))
}

/** Enough for one fsync to carry a kind's worth, few enough not to crowd out the first users. */
const WRITES_AT_ONCE = 64

/** Another server starting at the same time may have been first. */
async function createUnlessThere<T extends KubeObject>(client: Client, ref: ResourceRef, object: T, signal?: AbortSignal): Promise<void> {
  try {
    await client.create(ref, object, signal ? { signal } : {})
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error
  }
}

/** Pure: rules are added, never removed; an aggregated role's rules are the aggregation controller's. */
export function mergeRole<T extends ClusterRole | Role>(wanted: T, stored: T): ReturnType<Merge<T>> {
  const aggregation = 'aggregationRule' in wanted ? (wanted as ClusterRole).aggregationRule : undefined
  const { missing } = aggregation ? { missing: [] } : coversRules(stored.rules ?? [], wanted.rules ?? [])
  const rules = missing.length > 0 ? [...(stored.rules ?? []), ...(wanted.rules ?? []).filter((r) => !coversRules(stored.rules ?? [], [r]).covered)] : stored.rules
  const metadata = mergeMetadata(wanted.metadata, stored.metadata)
  const selectors = aggregation?.clusterRoleSelectors ?? []
  const storedSelectors = ('aggregationRule' in stored ? (stored as ClusterRole).aggregationRule?.clusterRoleSelectors : undefined) ?? []
  const missingSelectors = selectors.filter((s) => !storedSelectors.some((k) => JSON.stringify(k) === JSON.stringify(s)))
  if (missing.length === 0 && metadata === stored.metadata && missingSelectors.length === 0) return { kind: 'keep' }
  return { kind: 'update', object: { ...stored, ...(metadata && { metadata }), ...(rules && { rules }), ...(missingSelectors.length > 0 && { aggregationRule: { clusterRoleSelectors: [...storedSelectors, ...missingSelectors] } }) } }
}

/** Pure: subjects are added, never removed. A binding to another role cannot be changed, so it is made anew. */
export function mergeBinding<T extends ClusterRoleBinding | RoleBinding>(wanted: T, stored: T): ReturnType<Merge<T>> {
  if (wanted.roleRef.kind !== stored.roleRef.kind || wanted.roleRef.name !== stored.roleRef.name) return { kind: 'recreate' }
  const isSame = (a: Subject, b: Subject) => a.kind === b.kind && a.name === b.name && (a.namespace ?? '') === (b.namespace ?? '')
  const missing = (wanted.subjects ?? []).filter((s) => !stored.subjects?.some((k) => isSame(k, s)))
  const metadata = mergeMetadata(wanted.metadata, stored.metadata)
  if (missing.length === 0 && metadata === stored.metadata) return { kind: 'keep' }
  return { kind: 'update', object: { ...stored, ...(metadata && { metadata }), subjects: [...(stored.subjects ?? []), ...missing] } }
}

/** The stored metadata itself when nothing of ours is missing. */
function mergeMetadata(wanted: ObjectMeta | undefined, stored: ObjectMeta | undefined): ObjectMeta | undefined {
  const lacks = (have: Readonly<Record<string, string>> | undefined, want: Readonly<Record<string, string>> | undefined) => Object.entries(want ?? {}).some(([k, v]) => have?.[k] !== v)
  if (!lacks(stored?.labels, wanted?.labels) && !lacks(stored?.annotations, wanted?.annotations)) return stored
  return { ...stored, labels: { ...stored?.labels, ...wanted?.labels }, annotations: { ...stored?.annotations, ...wanted?.annotations } }
}
