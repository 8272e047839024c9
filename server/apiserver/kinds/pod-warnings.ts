/** What upstream warns of in pods and their templates (`pkg/api/pod/warnings.go`): accepted, and yet not what was meant. */
import type { Container, ContainerPort, ObjectMeta, PodAffinityTerm, PodSpec, PodTemplateSpec, Volume } from '#api/types/index.ts'
import { checkDnsLabel, parseQuantity } from '#api/types/index.ts'
import { APP_ARMOR_ANNOTATION, APP_ARMOR_WARNING } from './app-armor-annotation.ts'
import { ipWarnings } from './ip-warnings.ts'
import { nodeLabelWarnings, nodeSelectorWarnings, nodeTermWarnings } from './label-warnings.ts'
import { semanticEqual } from './semantic-equal.ts'
import { overlappingPathWarnings } from './volume-path-warnings.ts'

const DEPRECATED_ANNOTATIONS: Readonly<Record<string, string>> = {
  'scheduler.alpha.kubernetes.io/critical-pod': 'non-functional in v1.16+; use the "priorityClassName" field instead',
  'security.alpha.kubernetes.io/sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
  'security.alpha.kubernetes.io/unsafe-sysctls': 'non-functional in v1.11+; use the "sysctls" field instead',
}
const SECCOMP_POD = 'seccomp.security.alpha.kubernetes.io/pod'
const SECCOMP_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/'
const SECCOMP_TEXT = 'non-functional in v1.27+; use the "seccompProfile" field instead'

const DEPRECATED_VOLUMES = {
  photonPersistentDisk: 'deprecated in v1.11, non-functional in v1.16+',
  gitRepo: 'deprecated in v1.11, and disabled by default in v1.33+',
  scaleIO: 'deprecated in v1.16, non-functional in v1.22+',
  flocker: 'deprecated in v1.22, non-functional in v1.25+',
  storageos: 'deprecated in v1.22, non-functional in v1.25+',
  quobyte: 'deprecated in v1.22, non-functional in v1.25+',
  glusterfs: 'deprecated in v1.25, non-functional in v1.26+',
  cephfs: 'deprecated in v1.28, non-functional in v1.31+',
  rbd: 'deprecated in v1.28, non-functional in v1.31+',
} as const
/** Upstream's warning spells it as its Go field. */
const SHOWN_AS: Readonly<Record<string, string>> = { storageos: 'storageOS' }

/** Also those of PersistentVolumes, whose spec is the source. */
export function deprecatedVolumeWarnings(at: string, source: object): string[] {
  return Object.entries(DEPRECATED_VOLUMES).flatMap(([key, text]) => ((source as Record<string, unknown>)[key] ? [`${at}.${SHOWN_AS[key] ?? key}: ${text}`] : []))
}

/** `at`: '' for a pod, `spec.template` and the like for templates. */
export function podWarnings(at: string, spec: PodSpec, meta: ObjectMeta): string[] {
  const path = (rest: string): string => (at === '' ? rest : `${at}.${rest}`)
  const annotations = meta.annotations ?? {}
  const annotation = (key: string, text: string): string[] => (Object.hasOwn(annotations, key) ? [`${path(`metadata.annotations[${key}]`)}: ${text}`] : [])
  const containers = containersOf(path('spec'), spec)
  return [
    ...placementWarnings(path('spec'), spec),
    ...Object.entries(DEPRECATED_ANNOTATIONS).flatMap(([key, text]) => annotation(key, text)),
    ...(spec.volumes ?? []).flatMap((v, i) => volumeWarnings(path(`spec.volumes[${i}]`), v)),
    ...overlappingPathWarnings(spec.volumes ?? []),
    ...repeated(path('spec.hostAliases'), 'ip', (spec.hostAliases ?? []).map((a) => a.ip)),
    ...repeated(path('spec.imagePullSecrets'), 'name', (spec.imagePullSecrets ?? []).map((s) => s.name ?? '')),
    ...(spec.imagePullSecrets ?? []).flatMap(({ name }, i) => (name ? [] : [`${path(`spec.imagePullSecrets[${i}].name`)}: invalid empty name ""`])),
    ...fractionWarnings(path('spec.overhead'), spec.overhead),
    ...(spec.securityContext?.seccompProfile ? [] : annotation(SECCOMP_POD, SECCOMP_TEXT)),
    ...containers.flatMap(([here, c]) => [
      ...(c.securityContext?.seccompProfile ? [] : annotation(SECCOMP_CONTAINER + c.name, SECCOMP_TEXT)),
      ...(at === '' || spec.securityContext?.appArmorProfile || c.securityContext?.appArmorProfile ? [] : annotation(APP_ARMOR_ANNOTATION + c.name, APP_ARMOR_WARNING)),
      ...fractionWarnings(`${here}.resources.limits`, c.resources?.limits),
      ...fractionWarnings(`${here}.resources.requests`, c.resources?.requests),
      ...envWarnings(`${here}.env`, c),
    ]),
    ...portWarnings(containers),
    ...portNameWarnings(containers),
    ...((spec.terminationGracePeriodSeconds ?? 0) < 0 ? [`${path('spec.terminationGracePeriodSeconds')}: must be >= 0; negative values are invalid and will be treated as 1`] : []),
    ...affinityWarnings(path('spec.affinity'), spec),
    ...(spec.dnsConfig?.nameservers ?? []).flatMap((ip, i) => ipWarnings(path(`spec.dnsConfig.nameservers[${i}]`), ip)),
    ...(spec.hostAliases ?? []).flatMap(({ ip }, i) => ipWarnings(path(`spec.hostAliases[${i}].ip`), ip)),
  ]
}

export const templateWarnings = (at: string, template: PodTemplateSpec | undefined): string[] => podWarnings(at, template?.spec ?? { containers: [] }, template?.metadata ?? {})

/** Names that end up in hostnames. `inPodNames`: of what makes pods, not of a pod itself. */
export function hostnameWarnings(name: string | undefined, inPodNames: boolean): string[] {
  const wrong = name === undefined ? [] : checkDnsLabel(name)
  return wrong.length === 0 ? [] : [`metadata.name: this is used in ${inPodNames ? 'Pod names and hostnames' : "the Pod's hostname"}, which can result in surprising behavior; a DNS label is recommended: [${wrong.join(' ')}]`]
}

function containersOf(at: string, spec: PodSpec): [at: string, container: Container][] {
  const list = (key: 'initContainers' | 'containers' | 'ephemeralContainers'): [string, Container][] => ((spec[key] ?? []) as Container[]).map((c, i) => [`${at}.${key}[${i}]`, c])
  return [...list('initContainers'), ...list('containers'), ...list('ephemeralContainers')]
}

function placementWarnings(at: string, spec: PodSpec): string[] {
  const { requiredDuringSchedulingIgnoredDuringExecution: needed, preferredDuringSchedulingIgnoredDuringExecution: preferred } = spec.affinity?.nodeAffinity ?? {}
  const affinity = `${at}.affinity.nodeAffinity`
  return [
    ...nodeSelectorWarnings(`${at}.nodeSelector`, spec.nodeSelector),
    ...(needed?.nodeSelectorTerms ?? []).flatMap((term, i) => nodeTermWarnings(`${affinity}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[${i}]`, term)),
    ...(preferred ?? []).flatMap((p, i) => nodeTermWarnings(`${affinity}.preferredDuringSchedulingIgnoredDuringExecution[${i}].preference`, p.preference)),
    ...(spec.topologySpreadConstraints ?? []).flatMap((t, i) => [
      ...nodeLabelWarnings(`${at}.topologySpreadConstraints[${i}].topologyKey`, t.topologyKey),
      ...(t.labelSelector ? [] : [`${at}.topologySpreadConstraints[${i}].labelSelector: a null labelSelector results in matching no pod`]),
    ]),
  ]
}

function volumeWarnings(at: string, volume: Volume): string[] {
  const claim = volume.ephemeral?.volumeClaimTemplate?.spec
  return [...deprecatedVolumeWarnings(at, volume), ...(claim ? claimWarnings(`${at}.ephemeral.volumeClaimTemplate.spec`, claim.resources?.requests) : [])]
}

/** Of a PersistentVolumeClaim's spec. */
export const claimWarnings = (at: string, requests: Readonly<Record<string, string>> | undefined): string[] => storageAmountWarnings(`${at}.resources.requests[storage]`, requests?.['storage'])

function repeated(at: string, what: 'ip' | 'name', values: readonly string[]): string[] {
  return values.flatMap((value, i) => (values.indexOf(value) < i ? [`${at}[${i}].${what}: duplicate ${what} ${JSON.stringify(value)}`] : []))
}

/** Of an amount of bytes. */
function storageAmountWarnings(at: string, value: string | undefined): string[] {
  // Thousandths of a byte were meant by nobody.
  return value !== undefined && parseQuantity(value).nano % 1_000_000_000n !== 0n ? [`${at}: fractional byte value ${JSON.stringify(value)} is invalid, must be an integer`] : []
}

const fractionWarnings = (at: string, resources: Readonly<Record<string, string>> | undefined): string[] => ['memory', 'ephemeral-storage'].flatMap((name) => storageAmountWarnings(`${at}[${name}]`, resources?.[name]))

/** A value made of the one before it is meant; any other repetition hides it. */
function envWarnings(at: string, { env = [] }: Container): string[] {
  const seen = new Set<string>()
  const out: string[] = []
  for (const [i, { name, value = '', valueFrom }] of env.entries()) {
    if (seen.has(name)) {
      const reference = `$(${name})`
      const builds = !valueFrom && value !== reference && value.includes(reference)
      if (!builds) out.push(`${at}[${i}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`)
    } else seen.add(name)
  }
  return out
}

/** More than an answer's header holds. */
const PORT_WARNINGS_MAX = 1_000

function portWarnings(containers: readonly [at: string, container: Container][]): string[] {
  const seen = new Map<string, { at: string; port: ContainerPort }[]>()
  const out: string[] = []
  for (const [here, container] of containers) {
    for (const [i, port] of (container.ports ?? []).entries()) {
      const at = `${here}.ports[${i}]`
      if (port.hostIP && !port.hostPort) out.push(`${at}: hostIP set without hostPort: ${goPort(port)}`)
      const key = `${port.containerPort}/${port.protocol ?? ''}`
      const others = seen.get(key) ?? []
      for (const other of others) {
        const relation = relationOf(port, other.port)
        if (relation) out.push(`${at}: ${relation} port definition with ${other.at}`)
        if (out.length >= PORT_WARNINGS_MAX) return out
      }
      others.push({ at, port })
      seen.set(key, others)
    }
  }
  return out
}

function portNameWarnings(containers: readonly [at: string, container: Container][]): string[] {
  const first = new Map<string, string>()
  return containers.flatMap(([here, { ports = [] }]) => ports.flatMap(({ name }, i) => {
    if (!name) return []
    const at = `${here}.ports[${i}]`
    const other = first.get(name)
    if (other === undefined) first.set(name, at)
    return other === undefined ? [] : [`${at}: duplicate port name ${JSON.stringify(name)} with ${other}, services and probes that select ports by name will use ${other}`]
  }))
}

function relationOf(a: ContainerPort, b: ContainerPort): string | undefined {
  const [ipA, ipB, portA, portB] = [a.hostIP ?? '', b.hostIP ?? '', a.hostPort ?? 0, b.hostPort ?? 0]
  if (ipA === ipB && portA === portB) return 'duplicate'
  if (portA === 0 || portB === 0) return 'overlapping'
  return portA === portB && (ipA === '') !== (ipB === '') ? 'dangerously ambiguous' : undefined
}

/** As Go's %+v shows it. */
const goPort = (p: ContainerPort): string => `{Name:${p.name ?? ''} HostPort:${p.hostPort ?? 0} ContainerPort:${p.containerPort} Protocol:${p.protocol ?? ''} HostIP:${p.hostIP ?? ''}}`

function affinityWarnings(at: string, { affinity }: PodSpec): string[] {
  const bare = (here: string, term: PodAffinityTerm | undefined): string[] => (term?.labelSelector ? [] : [`${here}.labelSelector: a null labelSelector results in matching no pod`])
  return (['podAffinity', 'podAntiAffinity'] as const).flatMap((key) => [
    ...(affinity?.[key]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).flatMap((term, i) => bare(`${at}.${key}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`, term)),
    ...(affinity?.[key]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).flatMap((w, i) => bare(`${at}.${key}.preferredDuringSchedulingIgnoredDuringExecution[${i}].podAffinityTerm`, w.podAffinityTerm)),
  ])
}

/** For kinds that make pods: at creation, and when an update changes the template. `named`: their name ends up in those of the pods. */
export function workloadWarnings<T extends { metadata?: ObjectMeta }>(at: string, templateOf: (o: T) => PodTemplateSpec | undefined, named: boolean): (object: T, old?: T) => string[] {
  return (object, old) => {
    if (old && semanticEqual(templateOf(object), templateOf(old))) return []
    return [...(named && !old ? hostnameWarnings(object.metadata?.name, true) : []), ...templateWarnings(at, templateOf(object))]
  }
}
