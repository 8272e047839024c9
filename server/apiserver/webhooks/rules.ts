/**
 * Whether a rule of a webhook or an admission policy speaks of a request (apiserver `predicates/rules`), and which labels its
 * selectors look at. Pure.
 */
import type { KubeObject } from '#api/types/index.ts'
import type { LabelMatcher } from '#api/types/labels.ts'
import type { AdmissionRequest } from '../admission.ts'

/** RuleWithOperations, as webhooks and policies have it. */
export interface Rule {
  operations?: readonly string[]
  apiGroups?: readonly string[]
  apiVersions?: readonly string[]
  resources?: readonly string[]
  scope?: string
}

/** A resource by which a request may be known: its own, or an equivalent one. */
export interface ResourceName { group: string; version: string; resource: string }

export const isNamespaceResource = ({ group, resource }: { group: string; resource: string }): boolean => group === '' && resource === 'namespaces'

/** As upstream's attributes have it: a Namespace is in the namespace of its own name. */
export function attributesNamespace({ ref, namespace, name }: AdmissionRequest): string {
  return isNamespaceResource(ref) ? name : namespace
}

export function matchesRule(rule: Rule, request: AdmissionRequest, as: ResourceName = request.ref): boolean {
  return matchesScope(rule.scope ?? '*', request, as)
    && has(rule.operations, request.operation) && has(rule.apiGroups, as.group) && has(rule.apiVersions, as.version)
    && (rule.resources ?? []).some((text) => matchesResource(text, as.resource, request.subresource))
}

const has = (list: readonly string[] | undefined, value: string): boolean => list?.some((one) => one === '*' || one === value) ?? false

/** A resource, `resource/subresource`, or `*` in either place; without a slash it means no subresource. */
function matchesResource(text: string, resource: string, subresource: string): boolean {
  const slash = text.indexOf('/')
  const [wanted, wantedSub] = slash < 0 ? [text, ''] : [text.slice(0, slash), text.slice(slash + 1)]
  return (wanted === '*' || wanted === resource) && (wantedSub === '*' || wantedSub === subresource)
}

/** Namespaces are not in one. */
function matchesScope(scope: string, request: AdmissionRequest, as: ResourceName): boolean {
  if (scope === '*') return true
  const isCluster = isNamespaceResource(as) || attributesNamespace(request) === ''
  return scope === 'Cluster' ? isCluster : scope === 'Namespaced' && !isCluster
}

/** The new object's labels or the old one's. */
export function matchesObject(selector: LabelMatcher, { object, old }: AdmissionRequest): boolean {
  return isEverything(selector) || [object, old].some((one) => one !== undefined && selector.matches(one.metadata?.labels ?? {}))
}

export const isEverything = (selector: LabelMatcher): boolean => selector.requirements.length === 0 && selector.matches({})

/**
 * What a namespaceSelector looks at: undefined when it does not matter (cluster-scoped objects are never left out), labels that
 * are at hand, or the namespace to read them from.
 */
export function namespaceLabels(request: AdmissionRequest): undefined | { labels: Readonly<Record<string, string>> } | { namespace: string } {
  const isNamespace = request.ref.resource === 'namespaces'
  const namespace = attributesNamespace(request)
  if (namespace === '' && !isNamespace) return undefined
  // One that is being made or changed is matched as it will be.
  if (isNamespace && request.subresource === '' && (request.operation === 'CREATE' || request.operation === 'UPDATE')) return { labels: (request.object as KubeObject).metadata?.labels ?? {} }
  return { namespace }
}

const EXEMPT: ReadonlySet<string> = new Set([
  'ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionPolicyBinding', 'MutatingAdmissionPolicy', 'MutatingAdmissionPolicyBinding',
])

/** Kinds that are asked and not kept: policies that caught them could break the cluster (upstream's `exclusion`). Webhooks do get them. */
const REVIEWS: ReadonlySet<string> = new Set([
  'authentication.k8s.io/selfsubjectreviews', 'authentication.k8s.io/tokenreviews', 'authorization.k8s.io/localsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectaccessreviews', 'authorization.k8s.io/selfsubjectrulesreviews', 'authorization.k8s.io/subjectaccessreviews',
])

/** Configurations of webhooks are judged by policies, unlike by webhooks. */
const POLICIES: ReadonlySet<string> = new Set([...EXEMPT].filter((kind) => !kind.endsWith('WebhookConfiguration')))

export const isExemptFromPolicies = ({ kind, ref }: AdmissionRequest): boolean => (kind.group === 'admissionregistration.k8s.io' && POLICIES.has(kind.kind)) || REVIEWS.has(`${ref.group}/${ref.resource}`)

/** A bad webhook or policy must not be able to keep people from mending it. */
export const isExempt = ({ kind }: AdmissionRequest): boolean => kind.group === 'admissionregistration.k8s.io' && EXEMPT.has(kind.kind)
