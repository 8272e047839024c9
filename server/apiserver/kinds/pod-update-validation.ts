/** What an update may change of a pod's spec (upstream `ValidatePodUpdate`): images, the deadline, added tolerations, removed gates; while gated, also where it may run. */
import type { NodeAffinity, NodeSelectorTerm, ObjectMeta, PodSpec, Toleration } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { cloneJson } from '../storage/clone.ts'
import { validatePodSpec, validateTolerations } from './pod-spec-validation.ts'
import { differingPaths, semanticEqual } from './semantic-equal.ts'

const UPDATABLE = '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'
const DEADLINE_MAX = 2 ** 31 - 1

export function validatePodUpdate(meta: ObjectMeta, spec: PodSpec, old: PodSpec): FieldError[] {
  // What is stored was valid by the rules of its day; only what changes must be by today's.
  if (semanticEqual(spec, old)) return []
  const out = validatePodSpec('spec', spec, meta)
  for (const list of ['containers', 'initContainers'] as const) {
    if ((spec[list] ?? []).length !== (old[list] ?? []).length) return [...out, forbidden(`spec.${list}`, 'pod updates may not add or remove containers')]
    for (const [i, c] of (spec[list] ?? []).entries()) {
      if (!c.image) out.push(required(`spec.${list}[${i}].image`))
      else if (c.image !== c.image.trim()) out.push(invalid(`spec.${list}[${i}].image`, c.image, 'must not have leading or trailing whitespace'))
    }
  }
  const deadline = validateDeadline(spec, old)
  out.push(...deadline.errors)
  if (deadline.stop) return out
  out.push(...validateAddedTolerations(spec.tolerations ?? [], old.tolerations ?? []), ...validateGates(spec, old))
  const wanted = withUpdatable(spec, old)
  if ((old.schedulingGates ?? []).length > 0) out.push(...narrowed(spec, old, wanted))
  if (semanticEqual(wanted, old)) return out
  const where = differingPaths(wanted, old, 10).map((path) => `  spec.${path}`).join('\n')
  return [...out, forbidden('spec', `pod updates may not change fields other than ${UPDATABLE}\n${where}\n`)]
}

/** The new spec with everything that may change put back as it was. */
function withUpdatable(spec: PodSpec, old: PodSpec): PodSpec {
  const munged = cloneJson(spec)
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [i, c] of (munged[list] ?? []).entries()) {
      const image = old[list]?.[i]?.image
      if (image === undefined) delete c.image
      else c.image = image
    }
  }
  restore(munged, old, 'activeDeadlineSeconds', 'tolerations', 'schedulingGates')
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) restore(munged, old, 'terminationGracePeriodSeconds')
  return munged
}

function restore(spec: PodSpec, old: PodSpec, ...keys: readonly (keyof PodSpec)[]): void {
  const [to, from] = [spec as unknown as Record<string, unknown>, old as unknown as Record<string, unknown>]
  for (const key of keys) {
    if (from[key] === undefined) delete to[key]
    else to[key] = from[key]
  }
}

/** KEP-3838: while a pod is gated, the nodes it may run on can become fewer. What is judged here is put back in `wanted`. */
function narrowed(spec: PodSpec, old: PodSpec, wanted: PodSpec): FieldError[] {
  const out: FieldError[] = []
  const additionsOnly = Object.entries(old.nodeSelector ?? {}).every(([key, value]) => spec.nodeSelector?.[key] === value)
  if (!additionsOnly) out.push(invalid('spec.nodeSelector', spec.nodeSelector, 'only additions to spec.nodeSelector are allowed (no mutations or deletions)'))
  restore(wanted, old, 'nodeSelector')
  const [after, before] = [spec.affinity?.nodeAffinity, old.affinity?.nodeAffinity]
  if (semanticEqual(after, before)) return out
  out.push(...validateAffinityChange('spec.affinity.nodeAffinity', after, before))
  const affinity = { ...wanted.affinity }
  if (before) affinity.nodeAffinity = before
  else delete affinity.nodeAffinity
  if (Object.keys(affinity).length > 0 || old.affinity) wanted.affinity = affinity
  else delete wanted.affinity
  return out
}

function validateAffinityChange(at: string, after: NodeAffinity | undefined, before: NodeAffinity | undefined): FieldError[] {
  const field = `${at}.requiredDuringSchedulingIgnoredDuringExecution`
  const [terms, old] = [after, before].map((a) => a?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [])
  if (!old || old.length === 0 || !terms) return []
  if (terms.length !== old.length) return [invalid(`${field}.nodeSelectorTerms`, terms, 'no additions/deletions to non-empty NodeSelectorTerms list are allowed')]
  return terms.flatMap((term, i) => (old[i] && keepsTerm(term, old[i]) ? [] : [invalid(`${field}.nodeSelectorTerms[${i}]`, term, 'only additions are allowed (no mutations or deletions)')]))
}

/** A term without requirements matches nothing, and stays so. */
function keepsTerm(now: NodeSelectorTerm, was: NodeSelectorTerm): boolean {
  const empty = (was.matchExpressions ?? []).length + (was.matchFields ?? []).length === 0
  if (empty) return semanticEqual(now, was)
  return (['matchExpressions', 'matchFields'] as const).every((key) => (was[key] ?? []).every((requirement, i) => semanticEqual(now[key]?.[i], requirement)))
}

/** It may be given, and shortened. `stop`: nothing else is looked at. */
function validateDeadline(spec: PodSpec, old: PodSpec): { errors: FieldError[]; stop: boolean } {
  const [after, before] = [spec.activeDeadlineSeconds, old.activeDeadlineSeconds]
  const field = 'spec.activeDeadlineSeconds'
  if (after === undefined) return { errors: before === undefined ? [] : [invalid(field, null, 'must not update from a positive integer to nil value')], stop: false }
  if (after < 0 || after > DEADLINE_MAX) return { errors: [invalid(field, after, `must be between 0 and ${DEADLINE_MAX}, inclusive`)], stop: true }
  return before !== undefined && after > before ? { errors: [invalid(field, after, 'must be less than or equal to previous value')], stop: true } : { errors: [], stop: false }
}

function validateGates(spec: PodSpec, old: PodSpec): FieldError[] {
  const known = new Set((old.schedulingGates ?? []).map((g) => g.name))
  return (spec.schedulingGates ?? []).flatMap((g, i) => (known.has(g.name) ? [] : [forbidden(`spec.schedulingGates[${i}].name`, `only deletion is allowed, but found new scheduling gate '${g.name}'`)]))
}

function validateAddedTolerations(after: readonly Toleration[], before: readonly Toleration[]): FieldError[] {
  const bare = (t: Toleration): Toleration => {
    const { tolerationSeconds: _seconds, ...rest } = t
    return rest
  }
  const kept = before.every((t) => after.some((n) => semanticEqual(bare(n), bare(t))))
  if (!kept) return [forbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')]
  return validateTolerations('spec.tolerations', after)
}
