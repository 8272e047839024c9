/** Rows of the kinds that are asked, not kept: created only, never stored. */
import type { KindRow } from '../kind.ts'

function review(group: string, resource: string, kind: string, namespaced = false): KindRow {
  return {
    ref: { group, version: 'v1', resource, kind, namespaced }, model: kind, singular: kind.toLowerCase(),
    shortNames: [], categories: [], verbs: ['create'], subresources: [], strategy: {},
  }
}

export const reviewRows: readonly KindRow[] = [
  review('authentication.k8s.io', 'selfsubjectreviews', 'SelfSubjectReview'),
  review('authentication.k8s.io', 'tokenreviews', 'TokenReview'),
  review('authorization.k8s.io', 'localsubjectaccessreviews', 'LocalSubjectAccessReview', true),
  review('authorization.k8s.io', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview'),
  review('authorization.k8s.io', 'selfsubjectrulesreviews', 'SelfSubjectRulesReview'),
  review('authorization.k8s.io', 'subjectaccessreviews', 'SubjectAccessReview'),
]
