/** CRI's messages as the contract's configurations. Pure. Throws CRI_INVALID for what this runtime cannot do, so that nobody is given less than they asked for. */
import { CodedError } from '#base/errors.ts'
import type { Read } from '#base/protobuf/message.ts'
import type { ContainerConfig, IdRange, LinuxResources, Mount, NamespaceOptions, PodSandboxConfig, RegistryAuth, SecurityContext } from '../runtime.ts'
import { nameOf, NAMESPACE_MODES, PROPAGATIONS, PROTOCOLS, SECCOMP_PROFILES, signalNameOf } from '../wire/enums.ts'
import type * as m from '../wire/messages.ts'

const STRICT_GROUPS = 1

const invalid = (message: string): CodedError => new CodedError('CRI_INVALID', message)

export function sandboxConfigOf(config: Read<typeof m.PodSandboxConfig> | undefined): PodSandboxConfig {
  if (!config?.metadata) throw invalid('the sandbox config must include metadata')
  const { metadata, hostname, logDirectory, dnsConfig, labels, annotations, linux } = config
  const namespaces = namespacesOf(linux?.securityContext?.namespaceOptions)
  return {
    metadata, hostname, logDirectory, labels, annotations, ...(dnsConfig && { dnsConfig }),
    // Without a host port it only says what listens inside.
    portMappings: config.portMappings.filter((p) => p.hostPort !== 0).map((p) => ({ ...p, protocol: nameOf(PROTOCOLS, p.protocol, 'TCP') })),
    linux: { cgroupParent: cgroupPath(linux?.cgroupParent ?? ''), sysctls: linux?.sysctls ?? {}, namespaces },
  }
}

/** cgroupfs paths; crictl's pods often say nothing. */
function cgroupPath(parent: string): string {
  if (parent.endsWith('.slice')) throw invalid(`cgroup parent ${JSON.stringify(parent)} is systemd's: this runtime's cgroup driver is cgroupfs`)
  return parent === '' ? '/k8s.io' : `/${parent.replace(/^\/+/, '')}`
}

/** `imageId`: of the image that the config names; `volumeImages`: name to id of those that its mounts name. */
export function containerConfigOf(config: Read<typeof m.ContainerConfig> | undefined, imageId: string, volumeImages: ReadonlyMap<string, string>): ContainerConfig {
  if (!config?.metadata) throw invalid('the container config must include metadata')
  const { metadata, command, args, workingDir, devices, labels, annotations, logPath, stdin, stdinOnce, tty, linux } = config
  const stopSignal = signalNameOf(config.stopSignal)
  return {
    metadata, command, args, workingDir, devices, labels, annotations, logPath, stdin, stdinOnce, tty, image: imageId,
    env: config.envs,
    mounts: config.mounts.map((mount) => mountOf(mount, volumeImages)),
    ...(stopSignal !== undefined && { stopSignal }),
    ...(config.cdiDevices.length > 0 && { cdiDevices: config.cdiDevices.map(({ name }) => name) }),
    linux: { resources: resourcesOf(linux?.resources), security: securityOf(linux?.securityContext), namespaces: namespacesOf(linux?.securityContext?.namespaceOptions) },
  }
}

function mountOf(mount: Read<typeof m.ContainerConfig>['mounts'][number], volumeImages: ReadonlyMap<string, string>): Mount {
  const { containerPath, hostPath, readonly, propagation } = mount
  if (mount.image && mount.image.image !== '') {
    if (hostPath !== '') throw invalid(`mount ${containerPath}: either a host path or an image`)
    if (!readonly) throw invalid(`mount ${containerPath}: an image can only be mounted read-only`)
    return { containerPath, hostPath, readonly: true, propagation: 'private', image: volumeImages.get(mount.image.image) ?? mount.image.image, ...(mount.imageSubPath !== '' && { imageSubPath: mount.imageSubPath }) }
  }
  if (mount.imageSubPath !== '') throw invalid(`mount ${containerPath}: an image's sub path without an image`)
  if (mount.recursiveReadOnly && (!readonly || mount.propagation !== 0)) throw invalid(`mount ${containerPath}: recursive read-only needs readonly and private propagation`)
  const idMapped = rangeOf(mount.uidMappings, mount.gidMappings, `mount ${containerPath}`) !== undefined
  return { containerPath, hostPath, readonly, propagation: nameOf(PROPAGATIONS, propagation, 'private'), ...(mount.recursiveReadOnly && { recursiveReadOnly: true }), ...(idMapped && { idMapped }), ...(mount.selinuxRelabel && { selinuxRelabel: true }) }
}

export function resourcesOf(r: Read<typeof m.LinuxContainerResources> | undefined): LinuxResources {
  if (!r) return {}
  if (r.memorySwapLimitInBytes > r.memoryLimitInBytes) throw invalid(`memory_swap_limit_in_bytes ${r.memorySwapLimitInBytes}: this runtime gives no swap to containers`)
  const positive = (value: number): number | undefined => (value === 0 ? undefined : value)
  const [cpuShares, cpuQuota, cpuPeriod, memoryLimitBytes] = [positive(r.cpuShares), positive(r.cpuQuota), positive(r.cpuPeriod), positive(r.memoryLimitInBytes)]
  return {
    ...(cpuShares !== undefined && { cpuShares }), ...(cpuQuota !== undefined && { cpuQuota }), ...(cpuPeriod !== undefined && { cpuPeriod }), ...(memoryLimitBytes !== undefined && { memoryLimitBytes }),
    ...(r.cpusetCpus !== '' && { cpusetCpus: r.cpusetCpus }), ...(r.cpusetMems !== '' && { cpusetMems: r.cpusetMems }),
    ...(r.oomScoreAdj !== 0 && { oomScoreAdj: r.oomScoreAdj }),
    ...(r.hugepageLimits.length > 0 && { hugepageLimits: Object.fromEntries(r.hugepageLimits.map((h) => [h.pageSize, h.limit])) }),
    ...(Object.keys(r.unified).length > 0 && { unified: r.unified }),
  }
}

type Mappings = Read<typeof m.ContainerConfig>['mounts'][number]['uidMappings']

/** One range from 0, the same for users and groups: what kubelets ask for. */
function rangeOf(uids: Mappings, gids: Mappings, what: string): IdRange | undefined {
  if (uids.length === 0 && gids.length === 0) return undefined
  const [[uid, ...more], [gid, ...others]] = [uids, gids]
  if (!uid || !gid || more.length + others.length > 0 || uid.containerId !== 0 || gid.containerId !== 0 || uid.hostId !== gid.hostId || uid.length !== gid.length) throw invalid(`${what}: this runtime maps one range from 0, the same for users and groups`)
  return { hostId: uid.hostId, length: uid.length }
}

function namespacesOf(n: Read<typeof m.LinuxContainerSecurityContext>['namespaceOptions']): NamespaceOptions {
  const mode = (number: number) => nameOf(NAMESPACE_MODES, number, 'pod')
  const usersMode = mode(n?.usernsOptions?.mode ?? 2)
  if (usersMode !== 'pod' && usersMode !== 'node') throw invalid(`user namespace mode ${usersMode.toUpperCase()}: there are POD and NODE`)
  const users = n?.usernsOptions && mode(n.usernsOptions.mode) !== 'node' ? rangeOf(n.usernsOptions.uids, n.usernsOptions.gids, 'user namespace') : undefined
  if (n?.usernsOptions && mode(n.usernsOptions.mode) === 'pod' && !users) throw invalid('a user namespace needs its mappings')
  return { network: mode(n?.network ?? 0), pid: mode(n?.pid ?? 0), ipc: mode(n?.ipc ?? 0), ...(n && n.targetId !== '' && { targetId: n.targetId }), ...(users && { users }) }
}

function securityOf(s: Read<typeof m.LinuxContainerSecurityContext> | undefined): SecurityContext {
  const profile = nameOf(SECCOMP_PROFILES, s?.seccomp?.profileType ?? SECCOMP_PROFILES.indexOf('Unconfined'), 'RuntimeDefault')
  if (s?.runAsGroup && !s.runAsUser && s.runAsUsername === '') throw invalid('runAsGroup is specified without runAsUser')
  const ambient = s?.capabilities?.addAmbientCapabilities ?? []
  if (ambient.length > 0) throw invalid(`ambient capabilities (${ambient.join(', ')}) are not supported by this runtime`)
  return {
    privileged: s?.privileged ?? false, readonlyRootfs: s?.readonlyRootfs ?? false, noNewPrivs: s?.noNewPrivs ?? false, supplementalGroups: s?.supplementalGroups ?? [],
    ...(s?.supplementalGroupsPolicy === STRICT_GROUPS && { supplementalGroupsPolicy: 'Strict' }),
    addCapabilities: s?.capabilities?.addCapabilities ?? [], dropCapabilities: s?.capabilities?.dropCapabilities ?? [],
    ...(s?.runAsUser && { runAsUser: s.runAsUser.value }), ...(s?.runAsGroup && { runAsGroup: s.runAsGroup.value }), ...(s && s.runAsUsername !== '' && { runAsUsername: s.runAsUsername }),
    ...(s && s.maskedPaths.length > 0 && { maskedPaths: s.maskedPaths }), ...(s && s.readonlyPaths.length > 0 && { readonlyPaths: s.readonlyPaths }),
    ...(s?.apparmor && { apparmor: appArmorOf(s.apparmor) }), ...(s?.selinuxOptions && { selinux: s.selinuxOptions }),
    seccomp: profile === 'Localhost' ? { profile, path: s?.seccomp?.localhostRef ?? '' } : { profile },
  }
}

function appArmorOf({ profileType, localhostRef }: { profileType: number; localhostRef: string }): SecurityContext['apparmor'] & object {
  const profile = nameOf(SECCOMP_PROFILES, profileType, 'RuntimeDefault')
  return profile === 'Localhost' ? { profile, name: localhostRef.replace(/^localhost\//, '') } : { profile }
}

/** `auth` is `base64(user:password)`, as in a docker config. */
export function authOf(auth: Read<typeof m.PullImage.request>['auth']): RegistryAuth | undefined {
  if (!auth) return undefined
  const [username = '', ...password] = Buffer.from(auth.auth, 'base64').toString().split(':')
  const pair = auth.username !== '' || auth.auth === '' ? { username: auth.username, password: auth.password } : { username, password: password.join(':') }
  const given: RegistryAuth = {
    ...(pair.username !== '' && pair), ...(auth.identityToken !== '' && { identityToken: auth.identityToken }), ...(auth.registryToken !== '' && { registryToken: auth.registryToken }),
  }
  return Object.keys(given).length > 0 ? given : undefined
}
