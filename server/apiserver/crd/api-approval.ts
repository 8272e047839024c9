/** Groups of the Kubernetes community want a word from it (KEP-1111). Pure. */
export const APPROVAL_ANNOTATION = 'api-approved.kubernetes.io'

export const isProtectedGroup = (group: string): boolean => /(?:^|\.)(?:k8s|kubernetes)\.io$/.test(group)

export type Approval = 'missing' | 'bypassed' | 'approved' | 'invalid'

export function apiApproval(annotations: Readonly<Record<string, string>>): { state: Approval; reason: string } {
  const text = annotations[APPROVAL_ANNOTATION] ?? ''
  if (text === '') return { state: 'missing', reason: `protected groups must have approval annotation "${APPROVAL_ANNOTATION}", see https://github.com/kubernetes/enhancements/pull/1111` }
  if (text.startsWith('unapproved')) return { state: 'bypassed', reason: `not approved: ${JSON.stringify(text)}` }
  if (/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/\s?#]+/.test(text)) return { state: 'approved', reason: `approved in ${text}` }
  return { state: 'invalid', reason: `protected groups must have approval annotation "${APPROVAL_ANNOTATION}" with either a URL or a reason starting with "unapproved", see https://github.com/kubernetes/enhancements/pull/1111` }
}
