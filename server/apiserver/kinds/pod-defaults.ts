/** Defaults of pods and of every kind with a pod template (upstream `pkg/apis/core/v1/defaults.go`). Idempotent, in place. */
import type { Container, LifecycleHandler, PersistentVolumeSpec, Pod, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, Volume, VolumeProjection } from '#api/types/index.ts'
import { podLimits, podRequests } from '#api/types/index.ts'
import { setDefault } from './check.ts'
import { defaultPullPolicy } from './image-tag.ts'

/** What upstream gives to templates too. */
export function defaultPodSpec(spec: PodSpec): void {
  setDefault(spec, 'dnsPolicy', 'ClusterFirst')
  setDefault(spec, 'restartPolicy', 'Always')
  setDefault(spec, 'schedulerName', 'default-scheduler')
  spec.securityContext ??= {}
  spec.terminationGracePeriodSeconds ??= 30
  // The old name of the field is kept equal to the new one.
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName
  else if (spec.serviceAccount) spec.serviceAccountName = spec.serviceAccount
  for (const container of spec.initContainers ?? []) defaultContainer(container)
  for (const container of spec.containers ?? []) defaultContainer(container)
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container)
  for (const volume of spec.volumes ?? []) defaultVolume(volume)
}

export function defaultPodTemplate(template: PodTemplateSpec | undefined): void {
  if (!template) return
  template.metadata ??= {}
  template.spec ??= { containers: [] }
  defaultPodSpec(template.spec)
}

/** One address is the first of all, whichever was said; where both are and differ, the one alone counts. */
function alignAddresses(status: NonNullable<Pod['status']>): void {
  if (status.podIP && status.podIP !== status.podIPs?.[0]?.ip) status.podIPs = [{ ip: status.podIP }]
  else if (!status.podIP && status.podIPs?.[0]?.ip) status.podIP = status.podIPs[0].ip
}

/** What only pods themselves get: requests from limits, service links, host ports of the host network. */
export function defaultPod(pod: Pod): void {
  const spec = (pod.spec ??= { containers: [] })
  if (pod.status) alignAddresses(pod.status)
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    const limits = container.resources?.limits
    if (container.resources && limits) container.resources.requests = { ...limits, ...container.resources.requests }
  }
  defaultPodLevelRequests(pod, spec)
  // As upstream's conversion does: of pods, not of templates.
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) spec.terminationGracePeriodSeconds = 1
  spec.enableServiceLinks ??= true
  if (spec.hostNetwork) {
    for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) for (const port of container.ports ?? []) port.hostPort ||= port.containerPort
  }
  defaultPodSpec(spec)
}

/** KEP-2837: pod-level requests come from the containers' requests where there are any, else from the pod-level limits. */
function defaultPodLevelRequests(pod: Pod, spec: PodSpec): void {
  if (!spec.resources) return
  defaultPodLevelHugePages(pod, spec, spec.resources)
  const limits = spec.resources.limits
  if (!limits || Object.keys(limits).length === 0) return
  const own = spec.resources.requests ?? {}
  const { resources: _resources, overhead: _overhead, ...containersOnly } = spec
  const fromContainers = Object.entries(podRequests({ ...pod, spec: containersOnly })).filter(([name]) => name === 'cpu' || name === 'memory')
  const fromLimits = Object.entries(limits).filter(([name]) => name === 'cpu' || name === 'memory' || name.startsWith('hugepages-'))
  spec.resources.requests = { ...Object.fromEntries(fromLimits), ...Object.fromEntries(fromContainers), ...own }
}

/** What containers may have of huge pages the pod has, unless it says how many it wants. */
function defaultPodLevelHugePages(pod: Pod, spec: PodSpec, resources: ResourceRequirements): void {
  const { limits = {}, requests = {} } = resources
  if (Object.keys(limits).length + Object.keys(requests).length === 0) return
  const { resources: _resources, overhead: _overhead, ...containersOnly } = spec
  const given = Object.entries(podLimits({ ...pod, spec: containersOnly })).filter(([name]) => name.startsWith('hugepages-') && !Object.hasOwn(requests, name))
  if (given.length > 0) resources.limits = { ...Object.fromEntries(given), ...limits }
}

function defaultContainer(container: Container): void {
  setDefault(container, 'imagePullPolicy', defaultPullPolicy(container.image))
  setDefault(container, 'terminationMessagePath', '/dev/termination-log')
  setDefault(container, 'terminationMessagePolicy', 'File')
  container.resources ??= {}
  for (const port of container.ports ?? []) setDefault(port, 'protocol', 'TCP')
  for (const env of container.env ?? []) {
    if (env.valueFrom?.fieldRef) setDefault(env.valueFrom.fieldRef, 'apiVersion', 'v1')
    if (env.valueFrom?.resourceFieldRef) env.valueFrom.resourceFieldRef.divisor ??= '0'
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) if (probe) defaultProbe(probe)
  for (const hook of [container.lifecycle?.postStart, container.lifecycle?.preStop]) if (hook) defaultHttpGet(hook)
}

function defaultProbe(probe: Probe): void {
  probe.timeoutSeconds ||= 1
  probe.periodSeconds ||= 10
  probe.successThreshold ||= 1
  probe.failureThreshold ||= 3
  if (probe.grpc) probe.grpc.service ??= ''
  defaultHttpGet(probe)
}

function defaultHttpGet(handler: Pick<LifecycleHandler, 'httpGet'>): void {
  if (!handler.httpGet) return
  setDefault(handler.httpGet, 'path', '/')
  setDefault(handler.httpGet, 'scheme', 'HTTP')
}

/** What the sources that pods and PersistentVolumes share leave out. */
export function defaultVolumeSource({ azureDisk, hostPath, iscsi, rbd, scaleIO }: Pick<PersistentVolumeSpec, 'azureDisk' | 'hostPath' | 'iscsi' | 'rbd' | 'scaleIO'>): void {
  if (hostPath) hostPath.type ??= ''
  if (iscsi) setDefault(iscsi, 'iscsiInterface', 'default')
  if (rbd) {
    setDefault(rbd, 'pool', 'rbd')
    setDefault(rbd, 'user', 'admin')
    setDefault(rbd, 'keyring', '/etc/ceph/keyring')
  }
  if (azureDisk) {
    azureDisk.cachingMode ??= 'ReadWrite'
    azureDisk.kind ??= 'Shared'
    azureDisk.fsType ??= 'ext4'
    azureDisk.readOnly ??= false
  }
  if (scaleIO) {
    setDefault(scaleIO, 'storageMode', 'ThinProvisioned')
    setDefault(scaleIO, 'fsType', 'xfs')
  }
}

function defaultVolume(volume: Volume): void {
  if (!Object.entries(volume).some(([key, source]) => key !== 'name' && source !== undefined && source !== null)) volume.emptyDir = {}
  defaultVolumeSource(volume as Pick<PersistentVolumeSpec, 'azureDisk' | 'hostPath' | 'iscsi' | 'rbd' | 'scaleIO'>)
  if (volume.secret) volume.secret.defaultMode ??= 420
  if (volume.configMap) volume.configMap.defaultMode ??= 420
  if (volume.image) setDefault(volume.image, 'pullPolicy', defaultPullPolicy(volume.image.reference))
  if (volume.ephemeral?.volumeClaimTemplate) volume.ephemeral.volumeClaimTemplate.spec.volumeMode ??= 'Filesystem'
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= 420
    defaultDownwardItems(volume)
  }
  if (volume.projected) {
    volume.projected.defaultMode ??= 420
    for (const source of volume.projected.sources ?? []) {
      if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600
      if (source.downwardAPI) defaultDownwardItems(source)
    }
  }
}

function defaultDownwardItems(source: Pick<VolumeProjection, 'downwardAPI'>): void {
  for (const item of source.downwardAPI?.items ?? []) {
    if (item.fieldRef) setDefault(item.fieldRef, 'apiVersion', 'v1')
    if (item.resourceFieldRef) item.resourceFieldRef.divisor ??= '0'
  }
}
