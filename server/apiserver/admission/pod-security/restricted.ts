/** The checks that the restricted level adds to baseline (Pod Security Standards), worded as upstream words them. Pure. */
import type { Container, Volume } from '#api/types/index.ts'
import { badSeccomp, isSeccompRight, procMount } from './baseline.ts'
import { allContainers, hasUserNamespace, isWindows, named, namesWhere, plural, quoted, setters, sorted, type Check, type CheckPod } from './check.ts'

const VOLUMES: readonly (keyof Volume)[] = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim', 'projected', 'secret']
/** In upstream's order of looking: a volume of several kinds is named by the first. */
const FORBIDDEN_VOLUMES: readonly (keyof Volume)[] = [
  'hostPath', 'gcePersistentDisk', 'awsElasticBlockStore', 'gitRepo', 'nfs', 'iscsi', 'glusterfs', 'rbd', 'flexVolume', 'cinder', 'cephfs', 'flocker', 'fc', 'azureFile', 'vsphereVolume', 'quobyte',
  'azureDisk', 'photonPersistentDisk', 'portworxVolume', 'scaleIO', 'storageos',
]

const unlessWindows = (check: CheckPod): CheckPod => (pod) => (isWindows(pod.spec) ? undefined : check(pod))
const unlessUserNamespace = (check: CheckPod): CheckPod => (pod) => (hasUserNamespace(pod.spec) ? undefined : check(pod))

const privilegeEscalation: CheckPod = ({ spec }) => {
  const bad = namesWhere(spec, (c) => c.securityContext?.allowPrivilegeEscalation !== false)
  return bad.length === 0 ? undefined : { reason: 'allowPrivilegeEscalation != false', detail: `${named('container', bad)} must set securityContext.allowPrivilegeEscalation=false` }
}

const capabilities: CheckPod = ({ spec }) => {
  const added = (c: Container): string[] => (c.securityContext?.capabilities?.add ?? []).filter((name) => name !== 'NET_BIND_SERVICE')
  const keeping = namesWhere(spec, (c) => !c.securityContext?.capabilities?.drop?.includes('ALL'))
  const adding = namesWhere(spec, (c) => added(c).length > 0)
  const details = [
    ...(keeping.length > 0 ? [`${named('container', keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding.length > 0 ? [`${named('container', adding)} must not include ${quoted(sorted(allContainers(spec).flatMap(added)))} in securityContext.capabilities.add`] : []),
  ]
  return details.length === 0 ? undefined : { reason: 'unrestricted capabilities', detail: details.join('; ') }
}

const volumes: CheckPod = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter((v) => !VOLUMES.some((source) => v[source] !== undefined))
  if (bad.length === 0) return undefined
  const types = sorted(bad.map((v) => FORBIDDEN_VOLUMES.find((source) => v[source] !== undefined) ?? 'unknown'))
  return { reason: 'restricted volume types', detail: `${named('volume', bad.map((v) => v.name))} ${plural(bad.length, 'uses', 'use')} ${plural(types.length, 'restricted volume type')} ${quoted(types)}` }
}

const runAsNonRoot: CheckPod = ({ spec }) => {
  const own = spec.securityContext?.runAsNonRoot
  const who = setters(own === false, namesWhere(spec, (c) => c.securityContext?.runAsNonRoot === false))
  if (who !== '') return { reason: 'runAsNonRoot != true', detail: `${who} must not set securityContext.runAsNonRoot=false` }
  const silent = own === true ? [] : namesWhere(spec, (c) => typeof c.securityContext?.runAsNonRoot !== 'boolean')
  return silent.length === 0 ? undefined : { reason: 'runAsNonRoot != true', detail: `pod or ${named('container', silent)} must set securityContext.runAsNonRoot=true` }
}

const runAsUser: CheckPod = ({ spec }) => {
  const who = setters(spec.securityContext?.runAsUser === 0, namesWhere(spec, (c) => c.securityContext?.runAsUser === 0))
  return who === '' ? undefined : { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` }
}

const seccomp: CheckPod = (pod) => {
  const bad = badSeccomp(pod)
  if (bad || isSeccompRight(pod.spec.securityContext?.seccompProfile?.type)) return bad
  const silent = namesWhere(pod.spec, (c) => c.securityContext?.seccompProfile === undefined)
  return silent.length === 0 ? undefined : { reason: 'seccompProfile', detail: `pod or ${named('container', silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"` }
}

export const RESTRICTED: readonly Check[] = [
  { id: 'allowPrivilegeEscalation', versions: [{ since: 8, check: privilegeEscalation }, { since: 25, check: unlessWindows(privilegeEscalation) }] },
  { id: 'capabilities_restricted', overrides: 'capabilities_baseline', versions: [{ since: 22, check: capabilities }, { since: 25, check: unlessWindows(capabilities) }] },
  { id: 'procMount_restricted', overrides: 'procMount', versions: [{ since: 35, check: procMount }] },
  { id: 'restrictedVolumes', overrides: 'hostPathVolumes', versions: [{ since: 0, check: volumes }] },
  { id: 'runAsNonRoot', versions: [{ since: 0, check: runAsNonRoot }, { since: 35, check: unlessUserNamespace(runAsNonRoot) }] },
  { id: 'runAsUser', versions: [{ since: 23, check: runAsUser }, { since: 35, check: unlessUserNamespace(runAsUser) }] },
  { id: 'seccompProfile_restricted', overrides: 'seccompProfile_baseline', versions: [{ since: 19, check: seccomp }, { since: 25, check: unlessWindows(seccomp) }] },
]
