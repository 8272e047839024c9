/** Validation of containers, wherever they stand (upstream `validateContainers` and what it calls). */
import type { Container, ContainerPort, ContainerResizePolicy, EnvFromSource, EnvVar, EphemeralContainer, LifecycleHandler, PodSpec, Probe, Volume, VolumeMount } from '#api/types/index.ts'
import { checkConfigKey, checkDnsLabel, checkDnsSubdomain, checkEnvName, isEnvName, checkHttpHeaderName, checkPortName, checkPortNumber, maskTrailingDash } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, notFound, required } from '../field-error.ts'
import { named, nonNegative, oneOf, portOrName, requiredName } from './check.ts'
import { ENV_FIELDS, validateFieldRef, validateResourceFieldRef } from './field-ref-validation.ts'
import { validateClaimNames, validateResizePolicy } from './pod-resources-validation.ts'
import { validateResources } from './resources-validation.ts'
import { validateRestartRules } from './restart-rule-validation.ts'
import { validateSecurityContext } from './security-context-validation.ts'
import { validateStopSignal } from './stop-signal-validation.ts'
import { descendingPath, hasBacksteps, noBacksteps } from './path-validation.ts'

/** What containers are checked against. */
export interface ContainerScope {
  spec: PodSpec
  /** Volumes that mounts may name. */
  volumes: ReadonlyMap<string, Volume>
  /** Of a pod, not of a template. */
  isPod: boolean
}

type Role = 'init' | 'main' | 'ephemeral'
const LISTS = [['containers', 'main'], ['initContainers', 'init'], ['ephemeralContainers', 'ephemeral']] as const satisfies readonly (readonly [keyof PodSpec, Role])[]

export function validateContainers(path: string, scope: ContainerScope): FieldError[] {
  const { spec } = scope
  const out: FieldError[] = (spec.containers ?? []).length === 0 ? [required(`${path}.containers`)] : []
  const names = new Set<string>()
  for (const [list, role] of LISTS) {
    for (const [i, container] of ((spec[list] ?? []) as Container[]).entries()) {
      const here = `${path}.${list}[${i}]`
      out.push(...requiredName(`${here}.name`, container.name, checkDnsLabel))
      // Nameless containers are complained about for that; among main containers they are also each other's doubles, as upstream has it.
      if (names.has(container.name)) out.push(duplicate(`${here}.name`, container.name))
      else if (container.name || role !== 'init') names.add(container.name)
      out.push(...validateContainer(here, container, role, scope))
      if (scope.isPod || role === 'ephemeral') out.push(...untrimmedImage(`${here}.image`, container.image))
      if (role === 'init') out.push(...hostPortConflicts(`${path}.initContainers[0]`, [container]))
    }
  }
  return [...out, ...hostPortConflicts(`${path}.containers`, spec.containers ?? [], true), ...targetsOfEphemeral(path, spec), ...hostNetworkPorts(path, scope)]
}

const untrimmedImage = (at: string, image: string | undefined): FieldError[] => (image !== undefined && image !== image.trim() ? [invalid(at, image, 'must not have leading or trailing whitespace')] : [])

function targetsOfEphemeral(path: string, spec: PodSpec): FieldError[] {
  const others = new Set([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((c) => c.name))
  return (spec.ephemeralContainers ?? []).flatMap(({ targetContainerName: target }: EphemeralContainer, i) => (target && !others.has(target) ? [notFound(`${path}.ephemeralContainers[${i}].targetContainerName`, target)] : []))
}

/** On the host's network a container's ports are the host's; a template may leave that to the pod's defaults. */
function hostNetworkPorts(path: string, { spec, isPod }: ContainerScope): FieldError[] {
  if (!spec.hostNetwork) return []
  return (spec.containers ?? []).flatMap((c, i) => (c.ports ?? []).flatMap(({ hostPort = 0, containerPort }, j) => {
    return (isPod || hostPort !== 0) && hostPort !== containerPort ? [invalid(`${path}.containers[${i}].ports[${j}].hostPort`, hostPort, 'must match `containerPort` when `hostNetwork` is true')] : []
  }))
}

function validateContainer(at: string, c: Container, kind: Role, scope: ContainerScope): FieldError[] {
  const out: FieldError[] = []
  if (!c.image) out.push(required(`${at}.image`))
  out.push(
    ...oneOf(`${at}.terminationMessagePolicy`, c.terminationMessagePolicy, ['File', 'FallbackToLogsOnError'], 'required'),
    ...oneOf(`${at}.imagePullPolicy`, c.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'], 'required'),
    ...validatePorts(`${at}.ports`, c.ports ?? []),
    ...validateVariables(`${at}.env`, c.env ?? []),
    ...(c.envFrom ?? []).flatMap((e, i) => validateEnvFrom(`${at}.envFrom`, i, e)),
    ...validateMounts(`${at}.volumeMounts`, c, scope.volumes),
    ...validateDevices(`${at}.volumeDevices`, c, scope.volumes),
    ...validateResources(`${at}.resources`, c.resources ?? {}),
    ...validateClaimNames(`${at}.resources.claims`, c.resources?.claims, scope.spec),
    ...validateResizePolicy(`${at}.resizePolicy`, c.resizePolicy, scope.spec.restartPolicy),
    ...validateSecurityContext(`${at}.securityContext`, c.securityContext, scope.spec.hostUsers),
    ...(kind === 'ephemeral' ? [] : validateRestartRules(at, c, kind === 'init')),
  )
  if (kind === 'ephemeral') return [...out, ...forbiddenForEphemeral(at, c)]
  if (c.restartPolicy !== 'Always' && kind === 'init') out.push(...needlessRestarts(`${at}.resizePolicy`, c.resizePolicy))
  const running = kind === 'main' || c.restartPolicy === 'Always'
  if (!running) {
    for (const key of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) if (c[key]) out.push(forbidden(`${at}.${key}`, 'may not be set for init containers without restartPolicy=Always'))
    return out
  }
  if (c.lifecycle?.postStart) out.push(...validateHandler(`${at}.lifecycle.postStart`, c.lifecycle.postStart, scope.spec.terminationGracePeriodSeconds))
  if (c.lifecycle?.preStop) out.push(...validateHandler(`${at}.lifecycle.preStop`, c.lifecycle.preStop, scope.spec.terminationGracePeriodSeconds))
  out.push(...validateStopSignal(`${at}.lifecycle.stopSignal`, c.lifecycle?.stopSignal, scope.spec.os))
  for (const key of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    const probe = c[key]
    if (!probe) continue
    out.push(...validateProbe(`${at}.${key}`, probe))
    if (key !== 'readinessProbe' && probe.successThreshold !== 1) out.push(invalid(`${at}.${key}.successThreshold`, probe.successThreshold, 'must be 1'))
    if (key === 'readinessProbe' && probe.terminationGracePeriodSeconds !== undefined) out.push(invalid(`${at}.${key}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must not be set for readinessProbes'))
  }
  return out
}

const EPHEMERAL_FORBIDDEN = ['ports', 'resizePolicy', 'restartPolicy', 'restartPolicyRules', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const

function forbiddenForEphemeral(at: string, c: Container): FieldError[] {
  const out = EPHEMERAL_FORBIDDEN.filter((key) => c[key] !== undefined).map((key) => forbidden(`${at}.${key}`, 'cannot be set for an Ephemeral Container'))
  if (Object.keys(c.resources ?? {}).length > 0) out.push(forbidden(`${at}.resources`, 'cannot be set for an Ephemeral Container'))
  for (const [i, mount] of (c.volumeMounts ?? []).entries()) {
    for (const key of ['subPath', 'subPathExpr'] as const) if (mount[key]) out.push(forbidden(`${at}.volumeMounts[${i}].${key}`, 'cannot be set for an Ephemeral Container'))
  }
  return out
}

/** An init container that has run is not resized. */
function needlessRestarts(at: string, policies: readonly ContainerResizePolicy[] | undefined): FieldError[] {
  return (policies ?? []).flatMap(({ restartPolicy }, i) => (restartPolicy === 'RestartContainer' ? [invalid(`${at}[${i}].restartPolicy`, restartPolicy, "must not be set to 'RestartContainer' for non-sidecar initContainers")] : []))
}

function validatePorts(at: string, ports: readonly ContainerPort[]): FieldError[] {
  const out: FieldError[] = []
  const names = new Set<string>()
  for (const [i, port] of ports.entries()) {
    const here = `${at}[${i}]`
    if (port.name) {
      const problems = checkPortName(port.name)
      out.push(...problems.map((m) => invalid(`${here}.name`, port.name, m)))
      if (problems.length === 0 && names.has(port.name)) out.push(duplicate(`${here}.name`, port.name))
      names.add(port.name)
    }
    if (!port.containerPort) out.push(required(`${here}.containerPort`))
    else out.push(...checkPortNumber(port.containerPort).map((m) => invalid(`${here}.containerPort`, port.containerPort, m)))
    if (port.hostPort) out.push(...checkPortNumber(port.hostPort).map((m) => invalid(`${here}.hostPort`, port.hostPort, m)))
    out.push(...oneOf(`${here}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'], 'required'))
  }
  return out
}

/** The same host port twice in one pod can never be had. Init containers run one by one; upstream says of them only where they begin. */
function hostPortConflicts(at: string, containers: readonly Container[], indexed = false): FieldError[] {
  const taken = new Set<string>()
  const out: FieldError[] = []
  for (const [i, container] of containers.entries()) {
    for (const [j, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue
      const key = `${port.protocol ?? 'TCP'}/${port.hostIP ?? ''}/${port.hostPort}`
      if (taken.has(key)) out.push(duplicate(`${at}${indexed ? `[${i}]` : ''}.ports[${j}].hostPort`, key))
      taken.add(key)
    }
  }
  return out
}

const ENV_SOURCES = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'] as const

/** Nearly all are a name and a value: of those that are well named there is nothing to say, and so not where they stand. */
function validateVariables(at: string, env: readonly EnvVar[]): FieldError[] {
  const out: FieldError[] = []
  for (let i = 0; i < env.length; i++) {
    const variable = env[i] as EnvVar
    if (!variable.valueFrom && variable.name && isEnvName(variable.name)) continue
    out.push(...validateEnv(`${at}[${i}]`, variable))
  }
  return out
}

function validateEnv(at: string, env: EnvVar): FieldError[] {
  const out = env.name ? named(`${at}.name`, env.name, checkEnvName) : [required(`${at}.name`)]
  const from = env.valueFrom
  if (!from) return out
  const set = ENV_SOURCES.filter((key) => from[key] !== undefined)
  if (from.fieldRef) out.push(...validateFieldRef(`${at}.valueFrom.fieldRef`, from.fieldRef, ENV_FIELDS))
  if (from.resourceFieldRef) out.push(...validateResourceFieldRef(`${at}.valueFrom.resourceFieldRef`, from.resourceFieldRef))
  for (const key of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = from[key]
    if (!ref) continue
    out.push(...named(`${at}.valueFrom.${key}.name`, ref.name ?? '', checkDnsSubdomain), ...requiredName(`${at}.valueFrom.${key}.key`, ref.key, checkConfigKey))
  }
  if (from.fileKeyRef) {
    const { key, volumeName, path } = from.fileKeyRef
    const here = `${at}.valueFrom.fileKeyRef`
    out.push(...requiredName(`${here}.key`, key, checkEnvName), ...requiredName(`${here}.volumeName`, volumeName, checkDnsLabel), ...(path ? noBacksteps(`${here}.path`, path) : [required(`${here}.path`)]))
  }
  if (set.length === 0) out.push(invalid(`${at}.valueFrom`, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'))
  else if (env.value) out.push(invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty'))
  else if (set.length > 1) out.push(invalid(`${at}.valueFrom`, '', 'may not have more than one field specified at a time'))
  return out
}

function validateEnvFrom(at: string, i: number, from: EnvFromSource): FieldError[] {
  const out = from.prefix ? named(`${at}[${i}].prefix`, from.prefix, checkEnvName) : []
  const sources = (['configMapRef', 'secretRef'] as const).flatMap((key) => (from[key] ? [[key, from[key].name ?? ''] as const] : []))
  for (const [key, name] of sources) out.push(...requiredName(`${at}[${i}].${key}.name`, name, (value) => checkDnsSubdomain(maskTrailingDash(value))))
  if (sources.length > 1) out.push(invalid(at, '', 'may not have more than one field specified at a time'))
  if (sources.length === 0) out.push(invalid(at, '', 'must specify one of: `configMapRef` or `secretRef`'))
  return out
}

function validateMounts(at: string, container: Container, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  const out: FieldError[] = []
  const devices = container.volumeDevices ?? []
  const paths = new Set<string>()
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const here = `${at}[${i}]`
    const volume = volumes.get(mount.name)
    if (!mount.name) out.push(required(`${here}.name`))
    if (!volume) out.push(notFound(`${here}.name`, mount.name))
    if (!mount.mountPath) out.push(required(`${here}.mountPath`))
    if (paths.has(mount.mountPath)) out.push(invalid(`${here}.mountPath`, mount.mountPath, 'must be unique'))
    paths.add(mount.mountPath)
    if (devices.some((d) => d.name === mount.name)) out.push(invalid(`${here}.name`, mount.name, 'must not already exist in volumeDevices'))
    if (devices.some((d) => d.devicePath === mount.mountPath)) out.push(invalid(`${here}.mountPath`, mount.mountPath, 'must not already exist as a path in volumeDevices'))
    if (mount.subPath && mount.subPathExpr) out.push(invalid(`${here}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'))
    out.push(...validateMount(at, mount, container))
  }
  return out
}

/** `at` is that of the list, not of the mount: so upstream words these. */
function validateMount(at: string, mount: VolumeMount, container: Container): FieldError[] {
  const out = (['subPath', 'subPathExpr'] as const).flatMap((key) => (mount[key] ? descendingPath(`${at}.${key}`, mount[key]) : []))
  out.push(...oneOf(`${at}.mountPropagation`, mount.mountPropagation, ['Bidirectional', 'HostToContainer', 'None'], 'given'))
  if (mount.mountPropagation === 'Bidirectional' && !container.securityContext?.privileged) out.push(forbidden(`${at}.mountPropagation`, 'Bidirectional mount propagation is available only to privileged containers'))
  out.push(...oneOf(`${at}.recursiveReadOnly`, mount.recursiveReadOnly, ['Disabled', 'Enabled', 'IfPossible'], 'given'))
  if (mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible') {
    if (!mount.readOnly) out.push(forbidden(`${at}.recursiveReadOnly`, 'may only be specified when readOnly is true'))
    if (mount.mountPropagation !== undefined && mount.mountPropagation !== 'None') out.push(forbidden(`${at}.recursiveReadOnly`, 'may only be specified when mountPropagation is None or not specified'))
  }
  return out
}

function validateDevices(at: string, container: Container, volumes: ReadonlyMap<string, Volume>): FieldError[] {
  const out: FieldError[] = []
  const mounts = container.volumeMounts ?? []
  const seen = { name: new Set<string>(), path: new Set<string>() }
  for (const [i, { name, devicePath: path }] of (container.volumeDevices ?? []).entries()) {
    const here = `${at}[${i}]`
    const volume = volumes.get(name)
    if (!name) out.push(required(`${here}.name`))
    if (seen.name.has(name)) out.push(invalid(`${here}.name`, name, 'must be unique'))
    if (!volume) out.push(notFound(`${here}.name`, name))
    else if (!volume.persistentVolumeClaim && !volume.ephemeral) out.push(invalid(`${here}.name`, name, 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode'))
    if (!path) out.push(required(`${here}.devicePath`))
    if (seen.path.has(path)) out.push(invalid(`${here}.devicePath`, path, 'must be unique'))
    if (hasBacksteps(path)) out.push(invalid(`${here}.devicePath`, path, "can not contain backsteps ('..')"))
    else seen.path.add(path)
    if (mounts.some((m) => m.name === name)) out.push(invalid(`${here}.name`, name, 'must not already exist in volumeMounts'))
    if (mounts.some((m) => m.mountPath === path)) out.push(invalid(`${here}.devicePath`, path, 'must not already exist as a path in volumeMounts'))
    if (name) seen.name.add(name)
  }
  return out
}

export function validateProbe(at: string, probe: Probe): FieldError[] {
  const out = validateHandler(at, probe)
  for (const key of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'] as const) out.push(...nonNegative(`${at}.${key}`, probe[key]))
  if (probe.terminationGracePeriodSeconds !== undefined && probe.terminationGracePeriodSeconds <= 0) out.push(invalid(`${at}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must be greater than 0'))
  return out
}

function validateHandler(at: string, handler: Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<LifecycleHandler, 'sleep'>, graceSeconds = Number.POSITIVE_INFINITY): FieldError[] {
  const out: FieldError[] = []
  const set = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter((key) => handler[key] !== undefined)
  for (const extra of set.slice(1)) out.push(forbidden(`${at}.${extra}`, 'may not specify more than 1 handler type'))
  switch (set[0]) {
    case undefined:
      return [required(at, 'must specify a handler type')]
    case 'exec':
      if ((handler.exec?.command ?? []).length === 0) out.push(required(`${at}.exec.command`))
      break
    case 'httpGet': {
      const get = handler.httpGet
      if (!get?.path) out.push(required(`${at}.httpGet.path`))
      out.push(...portOrName(`${at}.httpGet.port`, get?.port), ...oneOf(`${at}.httpGet.scheme`, get?.scheme, ['HTTP', 'HTTPS'], 'required'))
      for (const header of get?.httpHeaders ?? []) out.push(...checkHttpHeaderName(header.name).map((m) => invalid(`${at}.httpGet.httpHeaders`, header.name, m)))
      break
    }
    case 'tcpSocket':
      out.push(...portOrName(`${at}.tcpSocket.port`, handler.tcpSocket?.port))
      break
    case 'grpc':
      out.push(...checkPortNumber(handler.grpc?.port).map((m) => invalid(`${at}.grpc.port`, handler.grpc?.port, m)))
      break
    case 'sleep':
      if ((handler.sleep?.seconds ?? 0) < 0 || (handler.sleep?.seconds ?? 0) > graceSeconds) out.push(invalid(`${at}.sleep`, handler.sleep?.seconds, `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`))
      break
  }
  return out
}
