/** The checks of the baseline level (Pod Security Standards), worded as upstream words them. Pure. */
import type { Container, LifecycleHandler, PodSpec, Probe, SELinuxOptions } from '#api/types/index.ts'
import { allContainers, goQuoted, hasUserNamespace, named, namesWhere, plural, quoted, setters, sorted, type Check, type CheckPod } from './check.ts'

const APPARMOR_ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/'
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod'
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/'
const CAPABILITIES: ReadonlySet<string> = new Set(['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'])

const SELINUX_TYPES = ['', 'container_t', 'container_init_t', 'container_kvm_t']
const SYSCTLS = ['kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.tcp_syncookies', 'net.ipv4.ping_group_range', 'net.ipv4.ip_unprivileged_port_start']
const SYSCTLS_27 = [...SYSCTLS, 'net.ipv4.ip_local_reserved_ports']
const SYSCTLS_29 = [...SYSCTLS_27, 'net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout', 'net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes']
const SYSCTLS_32 = [...SYSCTLS_29, 'net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']

const appArmor: CheckPod = ({ metadata, spec }) => {
  const isBad = (type: string | undefined): boolean => type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost'
  const podType = spec.securityContext?.appArmorProfile?.type
  const containers = allContainers(spec).filter((c) => isBad(c.securityContext?.appArmorProfile?.type))
  const annotations = Object.entries(metadata?.annotations ?? {})
    .filter(([key, value]) => key.startsWith(APPARMOR_ANNOTATION) && value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'))
    .map(([key, value]) => `${key}=${goQuoted(value)}`)
  const values = [...sorted([...(isBad(podType) ? [podType ?? ''] : []), ...containers.map((c) => c.securityContext?.appArmorProfile?.type ?? '')]), ...sorted(annotations)]
  const who = [setters(isBad(podType), containers.map((c) => c.name)), annotations.length > 0 ? plural(annotations.length, 'annotation') : ''].filter((s) => s !== '').join(' and ')
  return who === '' ? undefined : { reason: plural(values.length, 'forbidden AppArmor profile'), detail: `${who} must not set AppArmor profile type to ${quoted(values)}` }
}

const capabilities: CheckPod = ({ spec }) => {
  const extra = (c: Container): string[] => (c.securityContext?.capabilities?.add ?? []).filter((name) => !CAPABILITIES.has(name))
  const bad = namesWhere(spec, (c) => extra(c).length > 0)
  if (bad.length === 0) return undefined
  return { reason: 'non-default capabilities', detail: `${named('container', bad)} must not include ${quoted(sorted(allContainers(spec).flatMap(extra)))} in securityContext.capabilities.add` }
}

const hostNamespaces: CheckPod = ({ spec }) => {
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field]).map((field) => `${field}=true`)
  return shared.length === 0 ? undefined : { reason: 'host namespaces', detail: shared.join(', ') }
}

const hostPathVolumes: CheckPod = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter((v) => v.hostPath).map((v) => v.name)
  return bad.length === 0 ? undefined : { reason: 'hostPath volumes', detail: named('volume', bad) }
}

const hostPorts: CheckPod = ({ spec }) => {
  const portsOf = (c: Container): string[] => (c.ports ?? []).flatMap((p) => (p.hostPort ? [String(p.hostPort)] : []))
  const bad = namesWhere(spec, (c) => portsOf(c).length > 0)
  if (bad.length === 0) return undefined
  const ports = sorted(allContainers(spec).flatMap(portsOf))
  return { reason: 'hostPort', detail: `${named('container', bad)} ${plural(bad.length, 'uses', 'use')} ${plural(ports.length, 'hostPort')} ${ports.join(', ')}` }
}

const hostsOf = (handler: Probe | LifecycleHandler | undefined): string[] => [handler?.httpGet?.host ?? '', handler?.tcpSocket?.host ?? ''].filter((host) => host !== '')

const hostProbes: CheckPod = ({ spec }) => {
  const hosts = (c: Container): string[] => [c.livenessProbe, c.readinessProbe, c.startupProbe, c.lifecycle?.postStart, c.lifecycle?.preStop].flatMap(hostsOf)
  const bad = sorted(namesWhere(spec, (c) => hosts(c).length > 0))
  if (bad.length === 0) return undefined
  const used = sorted(allContainers(spec).flatMap(hosts))
  return { reason: 'probe or lifecycle host', detail: `${named('container', bad)} ${plural(bad.length, 'uses', 'use')} ${plural(used.length, 'probe or lifecycle host')} ${quoted(used)}` }
}

const privileged: CheckPod = ({ spec }) => {
  const bad = namesWhere(spec, (c) => c.securityContext?.privileged === true)
  return bad.length === 0 ? undefined : { reason: 'privileged', detail: `${named('container', bad)} must not set securityContext.privileged=true` }
}

/** Also a restricted check from 1.35 on, where baseline lets user namespaces have it. */
export const procMount: CheckPod = ({ spec }) => {
  const mount = (c: Container): string => c.securityContext?.procMount ?? 'Default'
  const bad = namesWhere(spec, (c) => mount(c) !== 'Default')
  if (bad.length === 0) return undefined
  return { reason: 'procMount', detail: `${named('container', bad)} must not set securityContext.procMount to ${quoted(sorted(allContainers(spec).map(mount).filter((m) => m !== 'Default')))}` }
}

const isSeccompAnnotationRight = (value: string): boolean => value === 'runtime/default' || value === 'docker/default' || value.startsWith('localhost/')

const seccompAnnotations: CheckPod = ({ metadata, spec }) => {
  const annotations = metadata?.annotations ?? {}
  const keys = [SECCOMP_POD, ...allContainers(spec).map((c) => `${SECCOMP_CONTAINER}${c.name}`)]
  const bad = sorted(keys.flatMap((key) => (annotations[key] !== undefined && !isSeccompAnnotationRight(annotations[key]) ? [`${key}=${goQuoted(annotations[key])}`] : [])))
  return bad.length === 0 ? undefined : { reason: 'seccompProfile', detail: `forbidden ${plural(bad.length, 'annotation')} ${bad.join(', ')}` }
}

export const isSeccompRight = (type: string | undefined): boolean => type === 'RuntimeDefault' || type === 'Localhost'

/** Types set, and wrong. */
export const badSeccomp: CheckPod = ({ spec }) => {
  const isBad = (profile: { type: string } | undefined): boolean => profile !== undefined && !isSeccompRight(profile.type)
  const own = spec.securityContext?.seccompProfile
  const containers = allContainers(spec).filter((c) => isBad(c.securityContext?.seccompProfile))
  const who = setters(isBad(own), containers.map((c) => c.name))
  if (who === '') return undefined
  const values = sorted([...(isBad(own) ? [own?.type ?? ''] : []), ...containers.map((c) => c.securityContext?.seccompProfile?.type ?? '')])
  return { reason: 'seccompProfile', detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(values)}` }
}

const seLinux = (types: readonly string[]): CheckPod => ({ spec }) => {
  const isBadType = (o: SELinuxOptions): boolean => !types.includes(o.type ?? '')
  const isBad = (o: SELinuxOptions | undefined): o is SELinuxOptions => o !== undefined && (isBadType(o) || !!o.user || !!o.role)
  const own = spec.securityContext?.seLinuxOptions
  const containers = allContainers(spec).filter((c) => isBad(c.securityContext?.seLinuxOptions))
  const who = setters(isBad(own), containers.map((c) => c.name))
  if (who === '') return undefined
  const all = [own, ...containers.map((c) => c.securityContext?.seLinuxOptions)].filter(isBad)
  const badTypes = sorted(all.filter(isBadType).map((o) => o.type ?? ''))
  const what = [...(badTypes.length > 0 ? [named('type', badTypes)] : []), ...(all.some((o) => o.user) ? ['user may not be set'] : []), ...(all.some((o) => o.role) ? ['role may not be set'] : [])]
  return { reason: 'seLinuxOptions', detail: `${who} set forbidden securityContext.seLinuxOptions: ${what.join('; ')}` }
}

const sysctls = (allowed: readonly string[]): CheckPod => ({ spec }) => {
  const bad = (spec.securityContext?.sysctls ?? []).map((s) => s.name).filter((name) => !allowed.includes(name))
  return bad.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: bad.join(', ') }
}

const windowsHostProcess: CheckPod = ({ spec }) => {
  const isSet = (of: PodSpec['securityContext'] | Container['securityContext']): boolean => of?.windowsOptions?.hostProcess === true
  const who = setters(isSet(spec.securityContext), namesWhere(spec, (c) => isSet(c.securityContext)))
  return who === '' ? undefined : { reason: 'hostProcess', detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` }
}

const always = (id: string, check: CheckPod): Check => ({ id, versions: [{ since: 0, check }] })

export const BASELINE: readonly Check[] = [
  always('appArmorProfile', appArmor),
  always('capabilities_baseline', capabilities),
  always('hostNamespaces', hostNamespaces),
  always('hostPathVolumes', hostPathVolumes),
  always('hostPorts', hostPorts),
  { id: 'hostProbesAndHostLifecycle', versions: [{ since: 34, check: hostProbes }] },
  always('privileged', privileged),
  { id: 'procMount', versions: [{ since: 0, check: procMount }, { since: 35, check: (pod) => (hasUserNamespace(pod.spec) ? undefined : procMount(pod)) }] },
  { id: 'seLinuxOptions', versions: [{ since: 0, check: seLinux(SELINUX_TYPES) }, { since: 31, check: seLinux([...SELINUX_TYPES, 'container_engine_t']) }] },
  { id: 'seccompProfile_baseline', versions: [{ since: 0, check: seccompAnnotations }, { since: 19, check: badSeccomp }] },
  { id: 'sysctls', versions: [{ since: 0, check: sysctls(SYSCTLS) }, { since: 27, check: sysctls(SYSCTLS_27) }, { since: 29, check: sysctls(SYSCTLS_29) }, { since: 32, check: sysctls(SYSCTLS_32) }] },
  always('windowsHostProcess', windowsHostProcess),
]
