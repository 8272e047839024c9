/** The policies of one kind with their bindings, compiled when something changed and a request comes, kept until the next change. */
import type { KubeObject, ValidatingAdmissionPolicyBinding } from '#api/types/index.ts'
import { parseEntry } from '../watch/encoder.ts'
import type { KindCache } from '../watch/kind-cache.ts'
import { cacheOf, namesOf, type Parts } from '../verbs/call.ts'
import { type Binding, type Bound, compileBinding } from './compile-policy.ts'
import type { Cel } from './expressions.ts'

export const GROUP = 'admissionregistration.k8s.io'

export interface PolicySet<P> { cel: Cel; policies: readonly Bound<P>[] }

/** Undefined where nothing is bound: then there is nothing to do, and CEL is not even loaded. In order of the policies' names. */
export function policySet<T extends KubeObject, P>(parts: Parts, resources: { policies: string; bindings: string }, compile: (cel: Cel, policy: T) => P): () => Promise<PolicySet<P> | undefined> | PolicySet<P> | undefined {
  const state: { policyChanges: number; bindingChanges: number; set: PolicySet<P> | undefined } = { policyChanges: -1, bindingChanges: -1, set: undefined }
  /** By the stored revision: what did not change is not compiled again. */
  let compiled = new Map<number, P>()
  let caches: readonly [KindCache, KindCache] | undefined
  // Asked with every write: where nothing changed, that is all that is looked at.
  return () => (caches && isSame(caches[0], state.policyChanges) && isSame(caches[1], state.bindingChanges) ? state.set : look())

  async function look(): Promise<PolicySet<P> | undefined> {
    const [policyRow, bindingRow] = [resources.policies, resources.bindings].map((resource) => parts.rows.find(GROUP, 'v1', resource))
    if (!policyRow || !bindingRow) return undefined
    const stored = await cacheOf(parts, policyRow)
    const bindings = await cacheOf(parts, bindingRow)
    const isSeen = caches?.[0] === stored && caches[1] === bindings && stored.changes === state.policyChanges && bindings.changes === state.bindingChanges
    caches = [stored, bindings]
    if (isSeen) return state.set
    const [policyChanges, bindingChanges] = [stored.changes, bindings.changes]
    const bound = new Map<string, Binding[]>()
    for (const entry of bindings.list('')) {
      const binding = parseEntry(entry, namesOf(bindingRow)) as ValidatingAdmissionPolicyBinding
      const name = binding.spec?.policyName ?? ''
      bound.set(name, [...(bound.get(name) ?? []), compileBinding(binding)])
    }
    const entries = stored.list('').filter((entry) => bound.has(entry.name))
    const cel = entries.length > 0 ? await import('#api/cel/index.ts') : undefined
    const current = new Map<number, P>()
    const policies = cel && entries.map((entry) => {
      const policy = compiled.get(entry.revision) ?? compile(cel, parseEntry(entry, namesOf(policyRow)) as T)
      current.set(entry.revision, policy)
      return { ...policy, bindings: bound.get(entry.name) ?? [] }
    })
    compiled = current
    // Another request may have been here while CEL was loaded: the later look wins, and the next change is seen in any case.
    Object.assign(state, { policyChanges, bindingChanges, set: cel && policies && { cel, policies } })
    return state.set
  }
}

const isSame = (cache: KindCache, changes: number): boolean => cache.changes === changes && !cache.isClosed && cache.isCurrent
