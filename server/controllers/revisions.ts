/** ControllerRevisions: what a DaemonSet's or StatefulSet's pod template was, so that a rollout can go on, be told and be undone (upstream's pkg/controller/history). Pure. */
import { CONTROLLER_REVISIONS, apiVersionOf, type ControllerRevision, type KubeObject, type PodTemplateSpec, type ResourceRef, type Stored } from '#api/types/index.ts'
import { canonicalJson, jsonEqual } from './json-equal.ts'
import { controllerReference } from './ownership.ts'

export type Revision = Stored<ControllerRevision>

/** What pods and revisions are labelled with. */
export const REVISION_HASH = 'controller-revision-hash'

/** The strategic merge patch that makes an object's template what it was; its keys in order, because upstream's tools compare it byte by byte. */
export const revisionData = (template: PodTemplateSpec | undefined): Record<string, unknown> => JSON.parse(canonicalJson({ spec: { template: { ...template, $patch: 'replace' } } })) as Record<string, unknown>

/** Oldest first. */
export const byRevision = (a: ControllerRevision, b: ControllerRevision): number => a.revision - b.revision

/** As upstream's, of other bytes: FNV-1a over canonical JSON, in the same alphabet. */
export function revisionHash(template: PodTemplateSpec | undefined, collisions = 0): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(canonicalJson(template) + (collisions > 0 ? `\0${collisions}` : ''))) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return Array.from(String(hash), (c) => SAFE_ALPHABET[c.charCodeAt(0) % SAFE_ALPHABET.length]).join('')
}

const SAFE_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'

export interface RevisionOwner {
  ref: ResourceRef
  owner: Stored<KubeObject>
  template: PodTemplateSpec | undefined
  collisions: number
  /** Where the hash stands besides in the name. */
  hashLabel: string
}

export function newRevision({ ref, owner, template, collisions, hashLabel }: RevisionOwner, revision: number): ControllerRevision {
  const hash = revisionHash(template, collisions)
  const { name, namespace, annotations } = owner.metadata
  return {
    apiVersion: apiVersionOf(CONTROLLER_REVISIONS), kind: CONTROLLER_REVISIONS.kind,
    metadata: {
      name: `${name.slice(0, 223)}-${hash}`, ...(namespace !== undefined && { namespace }), labels: { ...template?.metadata?.labels, [hashLabel]: hash },
      ...(annotations && { annotations }), ownerReferences: [controllerReference(ref, owner)],
    },
    data: revisionData(template), revision,
  } as ControllerRevision
}

export const holdsTemplate = (revision: ControllerRevision, template: PodTemplateSpec | undefined): boolean => jsonEqual(revision.data, revisionData(template))

export type RevisionAction =
  | { kind: 'createRevision'; revision: ControllerRevision }
  /** It is the newest again. */
  | { kind: 'renumberRevision'; revision: Revision; number: number }
  | { kind: 'deleteRevision'; name: string; uid: string }

/**
 * The revision that has the current template, and what makes it so: an old one that is like it becomes the newest again, none means a
 * new one, whose name `taken` by another template is a collision for the status to count.
 */
export function currentRevision(owner: RevisionOwner, revisions: readonly Revision[]): { current: Revision | undefined; actions: RevisionAction[]; collides: boolean } {
  const sorted = revisions.toSorted(byRevision)
  const last = sorted.at(-1)
  const equal = sorted.filter((r) => holdsTemplate(r, owner.template)).at(-1)
  if (equal && equal === last) return { current: equal, actions: [], collides: false }
  const number = (last?.revision ?? 0) + 1
  if (equal) return { current: equal, actions: [{ kind: 'renumberRevision', revision: equal, number }], collides: false }
  const made = newRevision(owner, number)
  if (revisions.some((r) => r.metadata.name === made.metadata?.name)) return { current: undefined, actions: [], collides: true }
  return { current: undefined, actions: [{ kind: 'createRevision', revision: made }], collides: false }
}

/** The oldest that neither the template nor a pod has, beyond the limit. */
export function surplusRevisions(revisions: readonly Revision[], isLive: (revision: Revision) => boolean, limit: number): RevisionAction[] {
  const dead = revisions.toSorted(byRevision).filter((r) => !isLive(r))
  return dead.slice(0, Math.max(0, dead.length - limit)).map((r) => ({ kind: 'deleteRevision', name: r.metadata.name, uid: r.metadata.uid }))
}
