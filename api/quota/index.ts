/** Which evaluator measures which resource: four know their kind, everything else is counted. */
import type { KubeObject } from '../types/object.ts'
import { claimEvaluator } from './claims.ts'
import { requirementsOf, type Evaluator } from './evaluator.ts'
import { podEvaluator } from './pods.ts'
import { DEVICES_BY_CLASS, NO_SURROUNDINGS, resourceClaimEvaluator, type ClaimSurroundings } from './resource-claims.ts'
import type { ResourceQuota } from '../types/generated/models.ts'
import { serviceEvaluator } from './services.ts'

export { podOf, type ClaimSurroundings } from './resource-claims.ts'
export { requirementsOf, type Evaluator, type Request, type Requirement } from './evaluator.ts'

/** Kinds that were counted before every kind could be, by their bare name. */
const ALIASES: ReadonlySet<string> = new Set(['configmaps', 'secrets', 'replicationcontrollers', 'resourcequotas'])

/** `count/pods`, `count/deployments.apps`. */
export const countName = (group: string, resource: string): string => (group === '' ? `count/${resource}` : `count/${resource}.${group}`)

/** `around`: what device claims are measured by; nobody else asks for it. */
export function evaluatorOf(group: string, resource: string, around: ClaimSurroundings = NO_SURROUNDINGS): Evaluator {
  if (group === '' && resource === 'pods') return podEvaluator
  if (group === '' && resource === 'services') return serviceEvaluator
  if (group === '' && resource === 'persistentvolumeclaims') return claimEvaluator
  if (group === 'resource.k8s.io' && resource === 'resourceclaims') return resourceClaimEvaluator(around)
  return countEvaluator(countName(group, resource), ...(group === '' && ALIASES.has(resource) ? [resource] : []))
}

/** The resource that a quota's name counts; undefined for names that the evaluators of pods, Services and claims know, or nobody. */
export function countedBy(name: string): { group: string; resource: string } | undefined {
  if (ALIASES.has(name)) return { group: '', resource: name }
  if (name.endsWith(DEVICES_BY_CLASS)) return { group: 'resource.k8s.io', resource: 'resourceclaims' }
  const counted = /^count\/([^./]+)(?:\.(.+))?$/.exec(name)
  return counted ? { group: counted[2] ?? '', resource: counted[1] ?? '' } : undefined
}

function countEvaluator(...names: string[]): Evaluator {
  return {
    handles: ({ operation, subresource }) => operation === 'CREATE' && subresource === '',
    matchingResources: (given) => given.filter((name) => names.includes(name)),
    usage: () => Object.fromEntries(names.map((name) => [name, '1'])),
  }
}

/** Whether the object is of those the quota is about. */
export const matchesScopes = (evaluator: Evaluator, quota: ResourceQuota, object: KubeObject): boolean => requirementsOf(quota).every((requirement) => evaluator.matchesScope?.(requirement, object) ?? false)
