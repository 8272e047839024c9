/** Rows of the kinds that are asked, not kept: never in the store. */
import type { KubeObject } from '#api/types/index.ts'
import type { KindRow, KindStrategy } from '../kind.ts'
import { componentStatusStrategy } from './component-status.ts'

function review(group: string, resource: string, kind: string, namespaced = false): KindRow {
  return {
    ref: { group, version: 'v1', resource, kind, namespaced }, model: kind, singular: kind.toLowerCase(),
    shortNames: [], categories: [], verbs: ['create'], subresources: [], strategy: {},
  }
}

const core = { group: '', version: 'v1' }

export const reviewRows: readonly KindRow[] = [
  { ref: { ...core, resource: 'bindings', kind: 'Binding', namespaced: true }, model: 'Binding', singular: 'binding', shortNames: [], categories: [], verbs: ['create'], subresources: [], strategy: {} },
  { ref: { ...core, resource: 'componentstatuses', kind: 'ComponentStatus', namespaced: false }, model: 'ComponentStatus', singular: 'componentstatus', shortNames: ['cs'], categories: [], verbs: ['get', 'list'], subresources: [], strategy: componentStatusStrategy as unknown as KindStrategy<KubeObject> },
  review('authentication.k8s.io', 'selfsubjectreviews', 'SelfSubjectReview'),
  review('authentication.k8s.io', 'tokenreviews', 'TokenReview'),
  review('authorization.k8s.io', 'localsubjectaccessreviews', 'LocalSubjectAccessReview', true),
  review('authorization.k8s.io', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview'),
  review('authorization.k8s.io', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview'),
  review('authorization.k8s.io', 'subjectaccessreviews', 'SubjectAccessReview'),
]
