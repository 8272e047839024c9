/**
 * Lines of upstream's scripts of 1.20 that fail against skiff and would against any server of 1.36, or with any kubectl
 * of that version, each with its reason; and the few that are skiff's own, whose reasons server/DIVERGENCE.md has, too.
 */
import { lines, type Expected } from '../release.ts'

const OLD = (minor: number): boolean => minor < 21
const NEW = (minor: number): boolean => minor >= 28

export const EXPECTED: readonly Expected[] = [
  // kubectl's.
  { suite: 'kubectl_version', at: lines('version', 49, 50, 55, 59, 60, 61, 62), kubectl: NEW, reason: 'version prints another text and has no --short since 1.28' },
  { suite: 'recursive_resources', at: lines('generic-resources', 272, 275, 286), reason: 'convert is a plugin, which Debian does not have' },
  { suite: 'template_output', at: lines('template-output', 66, 67), reason: 'convert is a plugin, which Debian does not have' },
  { suite: 'kubectl_create_error', at: lines('create', 83), kubectl: NEW, reason: 'validation is the server\'s since 1.25, and a null in a list of texts is an empty one to it' },
  { suite: 'kubectl_request_timeout', at: lines('request-timeout', 42), sometimes: true, reason: 'two timers of the client race: "context deadline exceeded" with or without "(Client.Timeout exceeded while reading body)"' },

  // API versions that are gone.
  { suite: 'role', at: lines('rbac', 150, 151, 153, 154), reason: 'rbac.authorization.k8s.io/v1beta1 is gone since 1.22: nothing is left to warn of' },
  { suite: 'pod', at: lines('core', 250, 253, 255, 257, 259, 263, 265, 267, 269, 286), kubectl: OLD, reason: 'create pdb sends policy/v1beta1, gone since 1.25' },
  { suite: 'kubectl_apply', at: lines('apply', 175, 177, 191, 208, 216, 218, 227, 235, 237, 244, 252, 254, 300, 326, 334), kubectl: OLD, reason: '--prune looks at extensions/v1beta1, gone since 1.22, and what it was to remove is in the way afterwards' },
  { suite: 'create_job', at: lines('create', 118, 119, 121, 122, 125, 126), kubectl: OLD, reason: 'create cronjob sends batch/v1beta1, gone since 1.25' },
  { suite: 'job', at: lines('batch', 40, 43, 45, 46, 47, 50, 52, 59, 60, 63, 65, 66, 67, 69, 70), kubectl: OLD, reason: 'create cronjob sends batch/v1beta1, gone since 1.25' },
  { suite: 'template_output', at: lines('template-output', 125, 126), kubectl: OLD, reason: 'create job --from knows batch/v1beta1 only, gone since 1.25' },
  { suite: 'auth_reconcile', at: lines('legacy-script', 844), kubectl: OLD, reason: 'rbac.authorization.k8s.io/v1beta1 is gone since 1.22: another refusal' },

  // The server's.
  { suite: 'pod', at: lines('core', 609, 634, 647), reason: 'a Node is replaced without the podCIDR it was given, which upstream refuses, too; only that its controller manager gives none there (no --allocate-node-cidrs)' },
  { suite: 'namespace', at: lines('core', 1463), kubectl: OLD, reason: 'the namespace is gone before wait --for=delete looks for it, which is an error to 1.20' },
]
