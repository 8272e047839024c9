/** The contract's configurations as CRI's messages. Pure. */
import type { Written } from '#base/protobuf/message.ts'
import type { ContainerConfig, LinuxResources, NamespaceOptions, PodSandboxConfig, SecurityContext } from '../runtime.ts'
import { idMappings, namespaceMessage, PROPAGATIONS, PROTOCOLS, SECCOMP_PROFILES, signalNumberOf } from '../wire/enums.ts'
import type * as m from '../wire/messages.ts'

export function sandboxMessage(config: PodSandboxConfig): Written<typeof m.PodSandboxConfig> {
  const { metadata, hostname, logDirectory, dnsConfig, labels, annotations, linux } = config
  return {
    metadata, hostname, logDirectory, labels, annotations, ...(dnsConfig && { dnsConfig }),
    portMappings: config.portMappings.map((p) => ({ ...p, protocol: PROTOCOLS.indexOf(p.protocol) })),
    linux: {
      cgroupParent: linux.cgroupParent, sysctls: linux.sysctls,
      securityContext: { namespaceOptions: namespaceMessage(linux.namespaces), seccomp: { profileType: SECCOMP_PROFILES.indexOf('RuntimeDefault') } },
    },
  }
}

/** On which version the runtime works; `unified` keys are of version 2 and an error on version 1. */
type CgroupVersion = 1 | 2

export function containerMessage(config: ContainerConfig, cgroups: CgroupVersion): Written<typeof m.ContainerConfig> {
  const { metadata, command, args, workingDir, devices, labels, annotations, logPath, stdin, stdinOnce, tty, linux } = config
  return {
    metadata, image: { image: config.image }, command, args, workingDir, devices, labels, annotations, logPath, stdin, stdinOnce, tty,
    envs: config.env,
    mounts: config.mounts.map(({ idMapped, image, ...mount }) => ({ ...mount, ...(image !== undefined && { image: { image } }), propagation: PROPAGATIONS.indexOf(mount.propagation), ...(idMapped && linux.namespaces.users && { uidMappings: idMappings(linux.namespaces.users), gidMappings: idMappings(linux.namespaces.users) }) })),
    stopSignal: signalNumberOf(config.stopSignal),
    cdiDevices: (config.cdiDevices ?? []).map((name) => ({ name })),
    linux: { resources: resourcesMessage(linux.resources, cgroups), securityContext: securityMessage(linux.security, linux.namespaces) },
  }
}

export function resourcesMessage(r: LinuxResources, cgroups: CgroupVersion): Written<typeof m.LinuxContainerResources> {
  return {
    cpuShares: r.cpuShares, cpuQuota: r.cpuQuota, cpuPeriod: r.cpuPeriod, cpusetCpus: r.cpusetCpus, cpusetMems: r.cpusetMems, memoryLimitInBytes: r.memoryLimitBytes, oomScoreAdj: r.oomScoreAdj,
    // CRI has no limit of processes: only version 2 has words for it, on version 1 the pod's cgroup holds it.
    ...(cgroups === 2 && { unified: { ...r.unified, ...(r.pidsLimit !== undefined && r.pidsLimit > 0 && { 'pids.max': String(r.pidsLimit) }) } }),
    hugepageLimits: Object.entries(r.hugepageLimits ?? {}).map(([pageSize, limit]) => ({ pageSize, limit })),
  }
}

function securityMessage(s: SecurityContext, namespaces: NamespaceOptions): Written<typeof m.LinuxContainerSecurityContext> {
  return {
    privileged: s.privileged, readonlyRootfs: s.readonlyRootfs, noNewPrivs: s.noNewPrivs, supplementalGroups: s.supplementalGroups, maskedPaths: s.maskedPaths, readonlyPaths: s.readonlyPaths,
    capabilities: { addCapabilities: s.addCapabilities, dropCapabilities: s.dropCapabilities },
    namespaceOptions: namespaceMessage(namespaces),
    ...(s.runAsUser !== undefined && { runAsUser: { value: s.runAsUser } }),
    ...(s.runAsGroup !== undefined && { runAsGroup: { value: s.runAsGroup } }),
    runAsUsername: s.runAsUsername,
    supplementalGroupsPolicy: s.supplementalGroupsPolicy === 'Strict' ? 1 : 0,
    ...(s.apparmor && { apparmor: { profileType: SECCOMP_PROFILES.indexOf(s.apparmor.profile), localhostRef: 'name' in s.apparmor ? s.apparmor.name : '' } }),
    ...(s.selinux && { selinuxOptions: s.selinux }),
    seccomp: { profileType: SECCOMP_PROFILES.indexOf(s.seccomp.profile), localhostRef: 'path' in s.seccomp ? s.seccomp.path : '' },
  }
}
