/** The admission plugins that are on, in upstream's recommended order. */
import type { AdmissionPlugin } from '../admission.ts'
import { certificateSubjectRestriction } from './certificate-subject-restriction.ts'
import { defaultIngressClass, defaultStorageClass } from './default-classes.ts'
import { defaultTolerationSeconds } from './default-toleration-seconds.ts'
import { limitRanger } from './limit-ranger.ts'
import { namespaceLifecycle } from './namespace-lifecycle.ts'
import { nodeRestriction } from './node-restriction.ts'
import { podSecurity } from './pod-security/pod-security.ts'
import { priority } from './priority.ts'
import { runtimeClass } from './runtime-class.ts'
import { serviceAccountPlugin, type ServiceAccountParts } from './service-account.ts'
import { taintNodesByCondition } from './taint-nodes-by-condition.ts'

export function defaultAdmission(parts: ServiceAccountParts): AdmissionPlugin[] {
  return [
    namespaceLifecycle,
    limitRanger,
    serviceAccountPlugin(parts),
    nodeRestriction,
    taintNodesByCondition,
    podSecurity(parts),
    priority,
    defaultTolerationSeconds,
    defaultStorageClass,
    runtimeClass,
    certificateSubjectRestriction,
    defaultIngressClass,
  ]
}
