/** Validation of a pod's spec, of a pod or of a template (upstream `ValidatePodSpec`). Containers and volumes have their own files. */
import type { Affinity, LabelSelector, NodeSelector, NodeSelectorRequirement, ObjectMeta, PodAffinityTerm, PodDNSConfig, PodSchedulingGate, PodSecurityContext, PodSpec, Toleration, TopologySpreadConstraint } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkDnsSubdomainWithUnderscore, checkLabelValue, checkQualifiedName, rangeMessage } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, notFound, notSupported, required, tooLong } from '../field-error.ts'
import { checkLabels, checkLabelSelector, named, oneOf, positive } from './check.ts'
import { validateContainers } from './container-validation.ts'
import { containersOf } from './containers-of.ts'
import { validIp } from './endpoint-ip.ts'
import { validateHostProcess } from './host-process-validation.ts'
import { validateOs } from './pod-os-validation.ts'
import { validatePodLevelResources, validateResourceClaims } from './pod-resources-validation.ts'
import { validateResources } from './resources-validation.ts'
import { validateAppArmor, validateIds, validateSeccomp, validateWindowsOptions } from './security-context-validation.ts'
import { validateVolumes } from './volume-validation.ts'

const DEADLINE_MAX = 2 ** 31 - 1
export const TAINT_EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

/** `pod`: the metadata of the pod it is the spec of; undefined for a template. */
export function validatePodSpec(at: string, spec: PodSpec, pod?: ObjectMeta): FieldError[] {
  const volumes = validateVolumes(`${at}.volumes`, spec.volumes ?? [], pod?.name)
  const scope = { spec, volumes: volumes.valid, isPod: pod !== undefined }
  const out: FieldError[] = [
    ...volumes.errors,
    ...validateResourceClaims(`${at}.resourceClaims`, spec.resourceClaims, isStatic(pod)),
    ...validateContainers(at, scope),
    ...validatePodLevelResources(at, spec),
    ...oneOf(`${at}.restartPolicy`, spec.restartPolicy, ['Always', 'OnFailure', 'Never'], 'required'),
    ...oneOf(`${at}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'], 'required'),
    ...checkLabels(`${at}.nodeSelector`, spec.nodeSelector),
    ...validatePodSecurity(`${at}.securityContext`, spec),
    ...validateAffinity(`${at}.affinity`, spec.affinity),
    ...validateDns(at, spec.dnsPolicy, spec.dnsConfig),
    ...(spec.readinessGates ?? []).flatMap((gate, i) => conditionType(`${at}.readinessGates[${i}].conditionType`, gate.conditionType)),
    ...validateGateNames(`${at}.schedulingGates`, spec.schedulingGates ?? []),
    ...validateSpread(`${at}.topologySpreadConstraints`, spec.topologySpreadConstraints ?? []),
    ...validateHostUsers(at, spec),
  ]
  for (const key of ['serviceAccountName', 'nodeName', 'priorityClassName'] as const) if (spec[key]) out.push(...named(`${at}.${key}`, spec[key], checkDnsSubdomain))
  if (spec.runtimeClassName !== undefined) out.push(...named(`${at}.runtimeClassName`, spec.runtimeClassName, checkDnsSubdomain))
  for (const key of ['hostname', 'subdomain'] as const) if (spec[key]) out.push(...named(`${at}.${key}`, spec[key], checkDnsLabel))
  if (spec.activeDeadlineSeconds !== undefined && (spec.activeDeadlineSeconds < 1 || spec.activeDeadlineSeconds > DEADLINE_MAX)) out.push(invalid(`${at}.activeDeadlineSeconds`, spec.activeDeadlineSeconds, rangeMessage(1, DEADLINE_MAX)))
  out.push(...validateTolerations(`${at}.tolerations`, spec.tolerations ?? []))
  for (const [i, alias] of (spec.hostAliases ?? []).entries()) {
    out.push(...validIp(`${at}.hostAliases[${i}].ip`, alias.ip))
    for (const [j, name] of (alias.hostnames ?? []).entries()) out.push(...named(`${at}.hostAliases[${i}].hostnames[${j}]`, name, checkDnsSubdomain))
  }
  if (spec.preemptionPolicy !== undefined) out.push(...oneOf(`${at}.preemptionPolicy`, spec.preemptionPolicy, ['PreemptLowerPriority', 'Never'], 'required'))
  out.push(...validateHostProcess(at, spec), ...validateOs(at, spec), ...validateHostname(at, spec))
  out.push(...validateFileVolumes(at, spec))
  if (spec.overhead) out.push(...validateResources(`${at}.overhead`, { limits: spec.overhead }))
  return pod === undefined ? out : [...out, ...tokensWithoutAccount(at, spec)]
}

const isStatic = (pod: ObjectMeta | undefined): boolean => Object.hasOwn(pod?.annotations ?? {}, 'kubernetes.io/config.mirror')

/** A condition's type is a qualified name, but no label key. */
const conditionType = (at: string, type: string): FieldError[] => named(at, type, checkQualifiedName)

/** Upstream's spelling of the fields that its own types keep elsewhere. */
function validateHostUsers(at: string, spec: PodSpec): FieldError[] {
  if (spec.hostUsers !== false) return []
  return [
    ...([['hostNetwork', 'hostNetwork'], ['hostPID', 'HostPID'], ['hostIPC', 'HostIPC']] as const).flatMap(([key, shown]) => (spec[key] ? [forbidden(`${at}.${shown}`, 'when `hostUsers` is false')] : [])),
    ...containersOf(at, spec).flatMap(([here, c]) => ((c.volumeDevices ?? []).length > 0 ? [forbidden(`${here}.volumeDevices`, 'when `hostUsers` is false')] : [])),
  ]
}

/** What variables are read of must be a volume that lives as long as the pod, and no longer. */
function validateFileVolumes(at: string, spec: PodSpec): FieldError[] {
  const volumes = new Map((spec.volumes ?? []).map((v) => [v.name, v]))
  return containersOf(at, spec).flatMap(([here, c]) => (c.env ?? []).flatMap(({ valueFrom }, i) => {
    if (!valueFrom?.fileKeyRef) return []
    const { volumeName } = valueFrom.fileKeyRef
    const field = `${here}.env[${i}].valueFrom.fileKeyRef.volumeName`
    const volume = volumes.get(volumeName)
    if (!volume) return [notFound(field, volumeName)]
    return volume.emptyDir ? [] : [invalid(field, volumeName, 'referenced volume must be of type emptyDir')]
  }))
}

function validateGateNames(at: string, gates: readonly PodSchedulingGate[]): FieldError[] {
  const seen = new Set<string>()
  return gates.flatMap(({ name }, i) => {
    const out = [...named(`${at}[${i}]`, name, checkQualifiedName), ...(seen.has(name) ? [duplicate(`${at}[${i}]`, name)] : [])]
    seen.add(name)
    return out
  })
}

function tokensWithoutAccount(at: string, spec: PodSpec): FieldError[] {
  if (spec.serviceAccountName) return []
  return (spec.volumes ?? []).flatMap((v, i) => (v.projected?.sources ?? []).flatMap((source, j) => {
    return source.serviceAccountToken ? [forbidden(`${at}.volumes[${i}].projected.sources[${j}].serviceAccountToken`, 'must not be specified when serviceAccountName is not set')] : []
  }))
}

const HOSTNAME_LENGTH_MAX = 64

/** KEP-4762. */
function validateHostname(at: string, { hostnameOverride: name, hostNetwork, setHostnameAsFQDN }: PodSpec): FieldError[] {
  if (name === undefined) return []
  const field = `${at}.hostnameOverride`
  const out = named(field, name, checkDnsSubdomain)
  if (Buffer.byteLength(name) > HOSTNAME_LENGTH_MAX) out.push(tooLong(field, HOSTNAME_LENGTH_MAX))
  if (hostNetwork) out.push(forbidden(field, 'may not be specified when hostNetwork is true'))
  if (setHostnameAsFQDN) out.push(forbidden(field, 'may not be specified when setHostnameAsFQDN is true'))
  return out
}

function validatePodSecurity(at: string, spec: PodSpec): FieldError[] {
  const sc: PodSecurityContext = spec.securityContext ?? {}
  const shared = spec.shareProcessNamespace && spec.hostPID ? [invalid(`${at}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled')] : []
  const out = validateIds(at, { ...(sc.runAsUser !== undefined && { runAsUser: sc.runAsUser }), ...(sc.runAsGroup !== undefined && { runAsGroup: sc.runAsGroup }), ...(sc.fsGroup !== undefined && { fsGroup: sc.fsGroup }) })
  for (const [i, id] of (sc.supplementalGroups ?? []).entries()) if (id < 0 || id > DEADLINE_MAX) out.push(invalid(`${at}.supplementalGroups[${i}]`, id, rangeMessage(0, DEADLINE_MAX)))
  const names = new Set<string>()
  for (const [i, { name }] of (sc.sysctls ?? []).entries()) {
    const field = `${at}.sysctls[${i}].name`
    if (!name) out.push(required(field))
    else if (!/^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/.test(name) || name.length > 253) out.push(invalid(field, name, 'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$'))
    else if (names.has(name)) out.push(duplicate(field, name))
    for (const [key, pattern] of HOST_SYSCTLS) if (spec[key] && pattern.test((name ?? '').replaceAll('/', '.'))) out.push(invalid(field, name, `may not be specified when '${key}' is true`))
    names.add(name)
  }
  out.push(...oneOf(`${at}.fsGroupChangePolicy`, sc.fsGroupChangePolicy, ['Always', 'OnRootMismatch'], 'given'), ...oneOf(`${at}.supplementalGroupsPolicy`, sc.supplementalGroupsPolicy, ['Merge', 'Strict'], 'given'))
  out.push(...oneOf(`${at}.seLinuxChangePolicy`, sc.seLinuxChangePolicy, ['Recursive'], 'given'))
  return [...shared, ...out, ...validateSeccomp(`${at}.seccompProfile`, sc.seccompProfile), ...validateWindowsOptions(`${at}.windowsOptions`, sc.windowsOptions), ...validateAppArmor(`${at}.appArmorProfile`, sc.appArmorProfile)]
}

/** Sysctls of namespaces that a pod may share with the host. */
const HOST_SYSCTLS = [['hostNetwork', /^net\./], ['hostIPC', /^(kernel\.(sem|shm|msg)|fs\.mqueue\.)/]] as const

export function validateTolerations(at: string, tolerations: readonly Toleration[]): FieldError[] {
  return tolerations.flatMap((t, i) => {
    const here = `${at}[${i}]`
    const out = t.key ? named(`${here}.key`, t.key, checkQualifiedName) : []
    if (!t.key && t.operator !== 'Exists') out.push(invalid(`${here}.operator`, t.operator ?? '', 'operator must be Exists when `key` is empty, which means "match all values and all keys"'))
    if (t.tolerationSeconds !== undefined && t.effect !== 'NoExecute') out.push(invalid(`${here}.effect`, t.effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if (t.operator === 'Exists') {
      if (t.value) out.push(invalid(`${here}.operator`, t.value, "value must be empty when `operator` is 'Exists'"))
    } else if (t.operator === undefined || t.operator === '' || t.operator === 'Equal') {
      const problems = checkLabelValue(t.value ?? '')
      if (problems.length > 0) out.push(invalid(`${here}.operator`, t.value, problems.join(';')))
    } else {
      // Numbers are compared behind a gate (TaintTolerationComparisonOperators), which is off: who asks for it is told of it.
      out.push(notSupported(`${here}.operator`, t.operator, ['Equal', 'Exists', ...(t.operator === 'Lt' || t.operator === 'Gt' ? ['Lt', 'Gt'] : [])]))
    }
    return [...out, ...oneOf(`${here}.effect`, t.effect, TAINT_EFFECTS)]
  })
}

function validateSpread(at: string, constraints: readonly TopologySpreadConstraint[]): FieldError[] {
  const keyOf = (c: TopologySpreadConstraint): string => `{${c.topologyKey ?? ''}, ${c.whenUnsatisfiable ?? ''}}`
  const last = new Map(constraints.map((c, i) => [keyOf(c), i]))
  return constraints.flatMap((c, i) => {
    const here = `${at}[${i}]`
    const out = [
      ...positive(`${here}.maxSkew`, c.maxSkew),
      ...(c.topologyKey ? [] : [required(`${here}.topologyKey`, 'can not be empty')]),
      ...oneOf(`${here}.whenUnsatisfiable`, c.whenUnsatisfiable ?? '', ['DoNotSchedule', 'ScheduleAnyway'], 'given'),
      ...positive(`${here}.minDomains`, c.minDomains),
      ...oneOf(`${here}.nodeAffinityPolicy`, c.nodeAffinityPolicy, ['Honor', 'Ignore'], 'given'),
      ...oneOf(`${here}.nodeTaintsPolicy`, c.nodeTaintsPolicy, ['Honor', 'Ignore'], 'given'),
      ...validateLabelKeys(here, c),
      ...checkLabelSelector(`${here}.labelSelector`, c.labelSelector),
    ]
    if (c.minDomains !== undefined && c.whenUnsatisfiable !== 'DoNotSchedule') out.push(invalid(`${here}.minDomains`, c.minDomains, `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${c.whenUnsatisfiable ?? ''}`))
    const key = keyOf(c)
    // Each that another one follows is the double.
    if (last.get(key) !== i) out.push(duplicate(`${at}[${i}].{topologyKey, whenUnsatisfiable}`, key))
    return out
  })
}

function validateAffinity(at: string, affinity: Affinity | undefined): FieldError[] {
  if (!affinity) return []
  const out: FieldError[] = []
  const node = affinity.nodeAffinity
  if (node?.requiredDuringSchedulingIgnoredDuringExecution) out.push(...validateNodeSelector(`${at}.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution`, node.requiredDuringSchedulingIgnoredDuringExecution))
  for (const [i, term] of (node?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
    const here = `${at}.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[${i}]`
    out.push(...validateWeight(here, term.weight), ...validateNodeTerms(`${here}.preference`, term.preference, true))
  }
  for (const key of ['podAffinity', 'podAntiAffinity'] as const) {
    for (const [i, term] of (affinity[key]?.requiredDuringSchedulingIgnoredDuringExecution ?? []).entries()) out.push(...validatePodTerm(`${at}.${key}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`, term))
    for (const [i, term] of (affinity[key]?.preferredDuringSchedulingIgnoredDuringExecution ?? []).entries()) {
      const here = `${at}.${key}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`
      out.push(...validateWeight(here, term.weight), ...validatePodTerm(`${here}.podAffinityTerm`, term.podAffinityTerm))
    }
  }
  return out
}

const validateWeight = (at: string, weight: number): FieldError[] => (weight < 1 || weight > 100 ? [invalid(`${at}.weight`, weight, 'must be in the range 1-100')] : [])

export function validateNodeSelector(at: string, selector: NodeSelector): FieldError[] {
  const terms = selector.nodeSelectorTerms ?? []
  if (terms.length === 0) return [required(`${at}.nodeSelectorTerms`, 'must have at least one node selector term')]
  return terms.flatMap((term, i) => validateNodeTerms(`${at}.nodeSelectorTerms[${i}]`, term))
}

/** Of preferences values are not looked at: they may match nothing. */
function validateNodeTerms(at: string, term: { matchExpressions?: NodeSelectorRequirement[]; matchFields?: NodeSelectorRequirement[] }, preferred = false): FieldError[] {
  const out = (term.matchExpressions ?? []).flatMap((r, i) => {
    const here = `${at}.matchExpressions[${i}]`
    const values = r.values ?? []
    const found: FieldError[] = []
    if ((r.operator === 'In' || r.operator === 'NotIn') && values.length === 0) found.push(required(`${here}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    else if ((r.operator === 'Exists' || r.operator === 'DoesNotExist') && values.length > 0) found.push(forbidden(`${here}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    else if ((r.operator === 'Gt' || r.operator === 'Lt') && values.length !== 1) found.push(required(`${here}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else if (!['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'].includes(r.operator)) found.push(invalid(`${here}.operator`, r.operator, 'not a valid selector operator'))
    return [...found, ...named(`${here}.key`, r.key ?? '', checkQualifiedName), ...(preferred ? [] : values.flatMap((value, v) => named(`${here}.values[${v}]`, value, checkLabelValue)))]
  })
  for (const [i, r] of (term.matchFields ?? []).entries()) {
    const here = `${at}.matchFields[${i}]`
    if (r.operator !== 'In' && r.operator !== 'NotIn') out.push(invalid(`${here}.operator`, r.operator, 'not a valid selector operator'))
    else if ((r.values ?? []).length !== 1) out.push(required(`${here}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
    if (r.key !== 'metadata.name') out.push(invalid(`${here}.key`, r.key, 'not a valid field selector key'))
    else for (const [v, value] of (r.values ?? []).entries()) out.push(...named(`${here}.values[${v}]`, value, checkDnsSubdomain))
  }
  return out
}

function validatePodTerm(at: string, term: PodAffinityTerm): FieldError[] {
  return [
    ...checkLabelSelector(`${at}.labelSelector`, term.labelSelector),
    ...checkLabelSelector(`${at}.namespaceSelector`, term.namespaceSelector),
    ...(term.namespaces ?? []).flatMap((name) => named(`${at}.namespace`, name, checkDnsLabel)),
    ...(term.topologyKey ? [] : [required(`${at}.topologyKey`, 'can not be empty')]),
    ...named(`${at}.topologyKey`, term.topologyKey ?? '', checkQualifiedName),
    ...validateLabelKeys(at, term),
  ]
}

/** matchLabelKeys and mismatchLabelKeys (KEP-3633, KEP-3243): their values became part of the selector, so there must be one, and it says nothing else of them. */
function validateLabelKeys(at: string, { matchLabelKeys = [], mismatchLabelKeys = [], labelSelector }: Pick<PodAffinityTerm, 'matchLabelKeys' | 'mismatchLabelKeys' | 'labelSelector'>): FieldError[] {
  const each = (field: string, keys: readonly string[]): FieldError[] => {
    if (keys.length > 0 && !labelSelector) return [forbidden(field, 'must not be specified when labelSelector is not set')]
    return keys.flatMap((key, i) => named(`${field}[${i}]`, key, checkQualifiedName))
  }
  return [
    ...each(`${at}.matchLabelKeys`, matchLabelKeys), ...each(`${at}.mismatchLabelKeys`, mismatchLabelKeys),
    ...selectedTwice(at, matchLabelKeys, labelSelector),
    ...matchLabelKeys.flatMap((key, i) => (mismatchLabelKeys.includes(key) ? [invalid(`${at}.matchLabelKeys[${i}]`, key, 'exists in both matchLabelKeys and mismatchLabelKeys')] : [])),
  ]
}

function selectedTwice(at: string, keys: readonly string[], selector: LabelSelector | undefined): FieldError[] {
  const seen = new Set(Object.keys(selector?.matchLabels ?? {}))
  return (selector?.matchExpressions ?? []).flatMap(({ key }) => {
    const again = seen.has(key) && keys.includes(key)
    seen.add(key)
    return again ? [invalid(`${at}[${keys.lastIndexOf(key)}]`, key, 'exists in both matchLabelKeys and labelSelector')] : []
  })
}

function validateDns(at: string, policy: string | undefined, config: PodDNSConfig | undefined): FieldError[] {
  const out: FieldError[] = []
  const field = `${at}.dnsConfig`
  if (policy === 'None') {
    if (!config) return [required(field, 'must provide `dnsConfig` when `dnsPolicy` is None')]
    if ((config.nameservers ?? []).length === 0) return [required(`${field}.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None')]
  }
  const servers = config?.nameservers ?? []
  if (servers.length > 3) out.push(invalid(`${field}.nameservers`, servers, 'must not have more than 3 nameservers'))
  for (const [i, server] of servers.entries()) out.push(...validIp(`${field}.nameservers[${i}]`, server))
  const searches = config?.searches ?? []
  if (searches.length > 32) out.push(invalid(`${field}.searches`, searches, 'must not have more than 32 search paths'))
  if (searches.join(' ').length > 2048) out.push(invalid(`${field}.searches`, searches, 'must not have more than 2048 characters (including spaces) in the search list'))
  // Since v1.34 with underscores, and the root alone.
  for (const [i, search] of searches.entries()) if (search !== '.') out.push(...named(`${field}.searches[${i}]`, search.replace(/\.$/, ''), checkDnsSubdomainWithUnderscore))
  for (const [i, option] of (config?.options ?? []).entries()) if (!option.name) out.push(required(`${field}.options[${i}]`, 'must not be empty'))
  return out
}
