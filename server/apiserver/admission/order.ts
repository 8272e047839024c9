/** Upstream's order of admission plugins (kubeapiserver/options `AllOrderedPlugins`). Webhooks and policies see what the others made; quota is charged last. */
import type { AdmissionPlugin } from '../admission.ts'

const FIRST = [
  'AlwaysAdmit', 'NamespaceAutoProvision', 'NamespaceLifecycle', 'NamespaceExists', 'LimitPodHardAntiAffinityTopology', 'LimitRanger', 'ServiceAccount', 'NodeRestriction',
  'TaintNodesByCondition', 'AlwaysPullImages', 'ImagePolicyWebhook', 'PodSecurity', 'PodNodeSelector', 'Priority', 'DefaultTolerationSeconds', 'PodTolerationRestriction',
  'EventRateLimit', 'ExtendedResourceToleration', 'DefaultStorageClass', 'StorageObjectInUseProtection', 'OwnerReferencesPermissionEnforcement', 'PersistentVolumeClaimResize',
  'RuntimeClass', 'CertificateApproval', 'CertificateSigning', 'ClusterTrustBundleAttest', 'CertificateSubjectRestriction', 'DefaultIngressClass', 'DenyServiceExternalIPs', 'PodTopologyLabels', 'NodeDeclaredFeatureValidator', 'PodResizeValidator',
] as const
const LAST = ['MutatingAdmissionPolicy', 'MutatingAdmissionWebhook', 'ValidatingAdmissionPolicy', 'ValidatingAdmissionWebhook', 'ResourceQuota', 'AlwaysDeny'] as const

/** Upstream's names of all that it has. */
export const PLUGIN_NAMES: readonly string[] = [...FIRST, ...LAST]

/** Those that upstream does not know come between its own and the webhooks, in the order given. */
export function inOrder(plugins: readonly AdmissionPlugin[]): AdmissionPlugin[] {
  const rank = new Map<string, number>([...FIRST.map((name, i) => [name, i] as const), ...LAST.map((name, i) => [name, FIRST.length + 1 + i] as const)])
  const rankOf = (plugin: AdmissionPlugin): number => rank.get(plugin.name) ?? FIRST.length
  return plugins.toSorted((a, b) => rankOf(a) - rankOf(b))
}
