/** The policies of one kind with their bindings, compiled when something changed and a request comes, kept until the next change. */
import type { KubeObject, ValidatingAdmissionPolicyBinding } from '#api/types/index.ts'
import { parseEntry } from '../watch/encoder.ts'
import { cacheOf, namesOf, type Parts } from '../verbs/call.ts'
import { type Binding, compileBinding } from './compile-policy.ts'
import type { Cel } from './expressions.ts'

export const GROUP = 'admissionregistration.k8s.io'

export interface PolicySet<P> { cel: Cel; policies: readonly P[] }

/** Undefined where nothing is bound: then there is nothing to do, and CEL is not even loaded. In order of the policies' names. */
export function policySet<T extends KubeObject, P>(parts: Parts, resources: { policies: string; bindings: string }, compile: (cel: Cel, policy: T, bindings: readonly Binding[]) => P): () => Promise<PolicySet<P> | undefined> {
  const state: { policyChanges: number; bindingChanges: number; set: PolicySet<P> | undefined } = { policyChanges: -1, bindingChanges: -1, set: undefined }
  return async () => {
    const [policyRow, bindingRow] = [resources.policies, resources.bindings].map((resource) => parts.rows.find(GROUP, 'v1', resource))
    if (!policyRow || !bindingRow) return undefined
    const policies = await cacheOf(parts, policyRow)
    const bindings = await cacheOf(parts, bindingRow)
    if (policies.changes === state.policyChanges && bindings.changes === state.bindingChanges) return state.set
    const [policyChanges, bindingChanges] = [policies.changes, bindings.changes]
    const bound = new Map<string, Binding[]>()
    for (const entry of bindings.list('')) {
      const binding = parseEntry(entry, namesOf(bindingRow)) as ValidatingAdmissionPolicyBinding
      const name = binding.spec?.policyName ?? ''
      bound.set(name, [...(bound.get(name) ?? []), compileBinding(binding)])
    }
    const entries = policies.list('').filter((entry) => bound.has(entry.name))
    const cel = entries.length > 0 ? await import('#api/cel/index.ts') : undefined
    const compiled = cel && entries.map((entry) => compile(cel, parseEntry(entry, namesOf(policyRow)) as T, bound.get(entry.name) ?? []))
    // Another request may have been here while CEL was loaded: the later look wins, and the next change is seen in any case.
    Object.assign(state, { policyChanges, bindingChanges, set: cel && compiled && { cel, policies: compiled } })
    return state.set
  }
}
