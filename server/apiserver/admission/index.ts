/** The admission plugins that are on, in upstream's recommended order. Webhooks and policies come from elsewhere. */
import type { Clock } from '#base/clock.ts'
import type { Random } from '#base/random.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { alwaysAdmit, alwaysDeny } from './always.ts'
import { alwaysPullImages } from './always-pull-images.ts'
import { certificateSubjectRestriction } from './certificate-subject-restriction.ts'
import { certificateApproval, certificateSigning, clusterTrustBundleAttest } from './certificates.ts'
import { isOn, type AdmissionChoice } from './choice.ts'
import { defaultIngressClass, defaultStorageClass } from './default-classes.ts'
import { defaultTolerationSeconds } from './default-toleration-seconds.ts'
import { deviceClaimStatus } from './device-claim-status.ts'
import { deviceClaims } from './device-claims.ts'
import { denyServiceExternalIps } from './deny-service-external-ips.ts'
import { eventRateLimit } from './event-rate-limit.ts'
import { extendedResourceToleration } from './extended-resource-toleration.ts'
import { imagePolicyWebhook } from './image-policy-webhook.ts'
import { limitPodHardAntiAffinityTopology } from './limit-pod-hard-anti-affinity-topology.ts'
import { limitRanger } from './limit-ranger.ts'
import { namespaceAutoProvision, namespaceExists } from './namespace-existence.ts'
import { namespaceLifecycle } from './namespace-lifecycle.ts'
import { nodeDeclaredFeatures } from './node-declared-features.ts'
import { nodeRestriction } from './node-restriction.ts'
import { inOrder } from './order.ts'
import { ownerReferencesPermissionEnforcement } from './owner-references-permission-enforcement.ts'
import { persistentVolumeClaimResize } from './persistent-volume-claim-resize.ts'
import { podNodeSelector } from './pod-node-selector.ts'
import { podResize } from './pod-resize.ts'
import { podSecurity } from './pod-security/pod-security.ts'
import { podTolerationRestriction } from './pod-toleration-restriction.ts'
import { podTopologyLabels } from './pod-topology-labels.ts'
import { priority } from './priority.ts'
import { resourceQuota } from './resource-quota/resource-quota.ts'
import { runtimeClass } from './runtime-class.ts'
import { serviceAccountPlugin } from './service-account.ts'
import { storageObjectInUseProtection } from './storage-object-in-use-protection.ts'
import { taintNodesByCondition } from './taint-nodes-by-condition.ts'

export interface AdmissionParts {
  clock: Clock
  random: Random
  /** Default: upstream's default plugins, unconfigured. */
  choice?: AdmissionChoice
}

const NO_CHOICE: AdmissionChoice = { enabled: [], disabled: [], config: {} }

/** `more`: plugins made elsewhere; they can be turned off when upstream has them, too. */
export function chooseAdmission(parts: AdmissionParts, more: readonly AdmissionPlugin[] = []): AdmissionPlugin[] {
  const { choice = NO_CHOICE } = parts
  return inOrder([...allPlugins(parts, choice), ...more].filter(({ name }) => isOn(name, choice)))
}

export const defaultAdmission = (parts: AdmissionParts): AdmissionPlugin[] => chooseAdmission(parts)

function allPlugins(parts: AdmissionParts, { config }: AdmissionChoice): AdmissionPlugin[] {
  const { clock } = parts
  return [
    alwaysAdmit, namespaceAutoProvision, namespaceLifecycle, namespaceExists, limitPodHardAntiAffinityTopology, limitRanger, serviceAccountPlugin(parts), nodeRestriction, taintNodesByCondition, alwaysPullImages,
    ...(config.imagePolicy ? [imagePolicyWebhook(config.imagePolicy, parts)] : []),
    podSecurity({ clock, ...(config.podSecurity && { config: config.podSecurity }) }),
    podNodeSelector(config.nodeSelectors),
    priority, defaultTolerationSeconds(config.tolerationSeconds), podTolerationRestriction(config.tolerations),
    eventRateLimit(config.eventLimits ?? [], clock),
    extendedResourceToleration, defaultStorageClass, storageObjectInUseProtection, ownerReferencesPermissionEnforcement, persistentVolumeClaimResize, runtimeClass,
    certificateApproval, certificateSigning, clusterTrustBundleAttest, certificateSubjectRestriction, defaultIngressClass, denyServiceExternalIps, podTopologyLabels, nodeDeclaredFeatures, podResize, deviceClaims, deviceClaimStatus,
    resourceQuota({ clock, ...(config.limitedResources && { limited: config.limitedResources }) }),
    alwaysDeny,
  ]
}
