/** Which ReplicaSet is a Deployment's current one, what it is called and what it carries. Pure. */
import { DEPLOYMENTS, type Deployment, type PodTemplateSpec, type ReplicaSet, type Stored } from '#api/types/index.ts'
import { canonicalJson, jsonEqual } from '../json-equal.ts'
import { controllerReference } from '../ownership.ts'
import { DESIRED_REPLICAS, MAX_REPLICAS, REVISION, REVISION_HISTORY, byCreation, desiredOf, limitsOf, revisionOf, type Rs } from './sizes.ts'

export const POD_TEMPLATE_HASH = 'pod-template-hash'

/** Annotations that say something of the Deployment itself and are not handed on. */
const NOT_COPIED = new Set([
  'kubectl.kubernetes.io/last-applied-configuration', REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, 'deprecated.deployment.rollback.to',
])
/** As upstream: older entries are dropped beyond this. */
const REVISION_HISTORY_CHARS_MAX = 2_000

/** The oldest with an equal template: newer twins are leftovers of an old bug or of a hand. */
export function findNewReplicaSet(d: Deployment, all: readonly Rs[]): Rs | undefined {
  const wanted = withoutHash(d.spec?.template)
  return all.toSorted(byCreation).find((rs) => jsonEqual(withoutHash(rs.spec?.template), wanted))
}

export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return jsonEqual(withoutHash(a), withoutHash(b))
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  const { creationTimestamp: _, ...metadata } = template?.metadata ?? {}
  const { [POD_TEMPLATE_HASH]: __, ...labels } = metadata.labels ?? {}
  // Absent and empty maps are the same template.
  const kept = Object.fromEntries(Object.entries({ ...metadata, labels }).filter(([, v]) => typeof v !== 'object' || Object.keys(v).length > 0))
  return { metadata: kept, spec: template?.spec }
}

export function newReplicaSet(d: Stored<Deployment>, revision: bigint, replicas: number): ReplicaSet {
  const hash = templateHash(d)
  const template = d.spec?.template
  const labels = { ...template?.metadata?.labels, [POD_TEMPLATE_HASH]: hash }
  return {
    apiVersion: 'apps/v1', kind: 'ReplicaSet',
    metadata: {
      name: `${d.metadata.name}-${hash}`, labels,
      ...(d.metadata.namespace !== undefined && { namespace: d.metadata.namespace }),
      ownerReferences: [controllerReference(DEPLOYMENTS, d)],
      annotations: { ...copiedAnnotations(d), ...sizeAnnotations(d), [REVISION]: String(revision) },
    },
    spec: {
      replicas, ...(d.spec?.minReadySeconds && { minReadySeconds: d.spec.minReadySeconds }),
      selector: { ...d.spec?.selector, matchLabels: { ...d.spec?.selector.matchLabels, [POD_TEMPLATE_HASH]: hash } },
      template: { ...template, metadata: { ...template?.metadata, labels } },
    },
  }
}

/** What the current ReplicaSet's annotations should be; equal to what it has when nothing is to be done. Sizes are annotated when scaling only: the old ones tell that a change is due. */
export function wantedAnnotations(d: Deployment, rs: Rs, revision: bigint): Record<string, string> {
  const old = rs.metadata.annotations ?? {}
  const wanted = { ...old, ...copiedAnnotations(d) }
  const before = revisionOf(rs)
  if (before < revision) {
    wanted[REVISION] = String(revision)
    if (old[REVISION] !== undefined) {
      // A rollback made an old revision the newest: it remembers which numbers it had.
      const history = [...(old[REVISION_HISTORY]?.split(',') ?? []), old[REVISION]]
      while (history.join(',').length > REVISION_HISTORY_CHARS_MAX) history.shift()
      wanted[REVISION_HISTORY] = history.join(',')
    }
  }
  return wanted
}

export function sizeAnnotations(d: Deployment): Record<string, string> {
  return { [DESIRED_REPLICAS]: String(desiredOf(d)), [MAX_REPLICAS]: String(desiredOf(d) + limitsOf(d).maxSurge) }
}

function copiedAnnotations(d: Deployment): Record<string, string> {
  return Object.fromEntries(Object.entries(d.metadata?.annotations ?? {}).filter(([k]) => !NOT_COPIED.has(k)))
}

/** Upstream hashes Go's dump of the template with FNV-1a; ours is of its canonical JSON, in the same alphabet and length. */
export function templateHash(d: Deployment): string {
  let hash = 0x811c9dc5
  const text = canonicalJson(d.spec?.template) + (d.status?.collisionCount ? `\0${d.status.collisionCount}` : '')
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return Array.from(String(hash), (c) => SAFE_ALPHABET[c.charCodeAt(0) % SAFE_ALPHABET.length]).join('')
}

const SAFE_ALPHABET = 'bcdfghjklmnpqrstvwxz2456789'
