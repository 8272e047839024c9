/** Validation of containers, wherever they stand (upstream `validateContainers` and what it calls). */
import type { Container, ContainerPort, EnvFromSource, EnvVar, LifecycleHandler, PodSpec, Probe, ResourceRequirements, SecurityContext, VolumeMount } from '#api/types/index.ts'
import { checkConfigKey, checkDnsLabel, checkEnvName, checkHttpHeaderName, checkPortName, checkPortNumber, checkQualifiedName, compareQuantity, parseQuantity, rangeMessage } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, notFound, required } from '../field-error.ts'
import { named, nonNegative, oneOf, portOrName, quantity, requiredName } from './check.ts'
import { ENV_FIELDS, validateFieldRef, validateResourceFieldRef } from './field-ref-validation.ts'
import { validateClaimNames, validateResizePolicy } from './pod-resources-validation.ts'
import { validateSubPath } from './volume-validation.ts'

const ID_MAX = 2 ** 31 - 1

const STANDARD_RESOURCES: ReadonlySet<string> = new Set(['cpu', 'memory', 'ephemeral-storage'])

/** Which volumes the pod has; decides what mounts may name. */
export interface ContainerScope { spec: PodSpec; hostNetwork: boolean }

export function validateContainers(path: string, spec: PodSpec): FieldError[] {
  const scope: ContainerScope = { spec, hostNetwork: spec.hostNetwork === true }
  const out: FieldError[] = []
  const names = new Set<string>()
  const each = (containers: readonly Container[] | undefined, at: string, kind: 'init' | 'main' | 'ephemeral') => {
    for (const [i, container] of (containers ?? []).entries()) {
      const here = `${path}.${at}[${i}]`
      out.push(...requiredName(`${here}.name`, container.name, checkDnsLabel))
      if (container.name && names.has(container.name)) out.push(duplicate(`${here}.name`, container.name))
      names.add(container.name)
      out.push(...validateContainer(here, container, kind, scope))
    }
  }
  if ((spec.containers ?? []).length === 0) out.push(required(`${path}.containers`))
  each(spec.containers, 'containers', 'main')
  each(spec.initContainers, 'initContainers', 'init')
  each(spec.ephemeralContainers as Container[] | undefined, 'ephemeralContainers', 'ephemeral')
  return [...out, ...hostPortConflicts(path, spec)]
}

function validateContainer(at: string, c: Container, kind: 'init' | 'main' | 'ephemeral', scope: ContainerScope): FieldError[] {
  const out: FieldError[] = []
  if (!c.image) out.push(required(`${at}.image`))
  out.push(
    ...oneOf(`${at}.terminationMessagePolicy`, c.terminationMessagePolicy, ['FallbackToLogsOnError', 'File'], 'required'),
    ...oneOf(`${at}.imagePullPolicy`, c.imagePullPolicy, ['Always', 'IfNotPresent', 'Never'], 'required'),
    ...validatePorts(`${at}.ports`, c.ports ?? [], scope.hostNetwork),
    ...(c.env ?? []).flatMap((e, i) => validateEnv(`${at}.env[${i}]`, e)),
    ...(c.envFrom ?? []).flatMap((e, i) => validateEnvFrom(`${at}.envFrom[${i}]`, e)),
    ...validateMounts(`${at}.volumeMounts`, c, scope.spec),
    ...validateResources(`${at}.resources`, c.resources ?? {}),
    ...validateClaimNames(`${at}.resources.claims`, c, scope.spec),
    ...validateResizePolicy(`${at}.resizePolicy`, c.resizePolicy, scope.spec.restartPolicy),
    ...validateSecurityContext(`${at}.securityContext`, c.securityContext),
    ...oneOf(`${at}.restartPolicy`, c.restartPolicy, ['Always', 'Never', 'OnFailure']),
  )
  if (kind === 'ephemeral') return [...out, ...forbiddenForEphemeral(at, c)]
  const running = kind === 'main' || c.restartPolicy === 'Always'
  if (!running) {
    for (const key of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) if (c[key]) out.push(forbidden(`${at}.${key}`, 'may not be set for init containers without restartPolicy=Always'))
    return out
  }
  if (c.lifecycle?.postStart) out.push(...validateHandler(`${at}.lifecycle.postStart`, c.lifecycle.postStart, scope.spec.terminationGracePeriodSeconds))
  if (c.lifecycle?.preStop) out.push(...validateHandler(`${at}.lifecycle.preStop`, c.lifecycle.preStop, scope.spec.terminationGracePeriodSeconds))
  for (const key of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    const probe = c[key]
    if (!probe) continue
    out.push(...validateProbe(`${at}.${key}`, probe))
    if (key !== 'readinessProbe' && probe.successThreshold !== 1) out.push(invalid(`${at}.${key}.successThreshold`, probe.successThreshold, 'must be 1'))
    if (key === 'readinessProbe' && probe.terminationGracePeriodSeconds !== undefined) out.push(invalid(`${at}.${key}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must not be set for readinessProbes'))
  }
  return out
}

const EPHEMERAL_FORBIDDEN = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const

function forbiddenForEphemeral(at: string, c: Container): FieldError[] {
  const out = EPHEMERAL_FORBIDDEN.filter((key) => c[key] !== undefined).map((key) => forbidden(`${at}.${key}`, 'cannot be set for an Ephemeral Container'))
  if (Object.keys(c.resources ?? {}).length > 0) out.push(forbidden(`${at}.resources`, 'cannot be set for an Ephemeral Container'))
  return out
}

function validatePorts(at: string, ports: readonly ContainerPort[], hostNetwork: boolean): FieldError[] {
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
    if (port.hostPort) {
      out.push(...checkPortNumber(port.hostPort).map((m) => invalid(`${here}.hostPort`, port.hostPort, m)))
      if (hostNetwork && port.hostPort !== port.containerPort) out.push(invalid(`${here}.containerPort`, port.containerPort, 'must match `hostPort` when `hostNetwork` is true'))
    }
    out.push(...oneOf(`${here}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'], 'required'))
  }
  return out
}

/** The same host port twice in one pod can never be had. */
function hostPortConflicts(path: string, spec: PodSpec): FieldError[] {
  const taken = new Set<string>()
  const out: FieldError[] = []
  for (const [i, container] of (spec.containers ?? []).entries()) {
    for (const [j, port] of (container.ports ?? []).entries()) {
      if (!port.hostPort) continue
      const key = `${port.protocol ?? 'TCP'}/${port.hostIP ?? ''}/${port.hostPort}`
      if (taken.has(key)) out.push(duplicate(`${path}.containers[${i}].ports[${j}].hostPort`, key))
      taken.add(key)
    }
  }
  return out
}

const ENV_SOURCES = ['fieldRef', 'resourceFieldRef', 'configMapKeyRef', 'secretKeyRef', 'fileKeyRef'] as const

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
    if (!ref.name) out.push(required(`${at}.valueFrom.${key}.name`))
    out.push(...requiredName(`${at}.valueFrom.${key}.key`, ref.key, checkConfigKey))
  }
  if (from.fileKeyRef) {
    for (const key of ['volumeName', 'path', 'key'] as const) if (!from.fileKeyRef[key]) out.push(required(`${at}.valueFrom.fileKeyRef.${key}`))
  }
  if (set.length === 0) out.push(invalid(`${at}.valueFrom`, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`'))
  else if (env.value) out.push(invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty'))
  else if (set.length > 1) out.push(invalid(`${at}.valueFrom`, '', 'may not have more than one field specified at a time'))
  return out
}

function validateEnvFrom(at: string, from: EnvFromSource): FieldError[] {
  const out = from.prefix ? named(`${at}.prefix`, from.prefix, checkEnvName) : []
  if (from.configMapRef && !from.configMapRef.name) out.push(required(`${at}.configMapRef.name`))
  if (from.secretRef && !from.secretRef.name) out.push(required(`${at}.secretRef.name`))
  if (from.configMapRef && from.secretRef) out.push(invalid(at, '', 'may not have more than one field specified at a time'))
  if (!from.configMapRef && !from.secretRef) out.push(invalid(at, '', 'must specify one of: `configMapRef` or `secretRef`'))
  return out
}

function validateMounts(at: string, container: Container, spec: PodSpec): FieldError[] {
  const out: FieldError[] = []
  const volumes = new Map((spec.volumes ?? []).map((v) => [v.name, v]))
  const mounts = container.volumeMounts ?? []
  const devices = container.volumeDevices ?? []
  const paths = new Set<string>()
  for (const [i, mount] of mounts.entries()) {
    const here = `${at}[${i}]`
    if (!mount.name) out.push(required(`${here}.name`))
    else if (!volumes.has(mount.name)) out.push(notFound(`${here}.name`, mount.name))
    if (!mount.mountPath) out.push(required(`${here}.mountPath`))
    if (paths.has(mount.mountPath)) out.push(invalid(`${here}.mountPath`, mount.mountPath, 'must be unique'))
    paths.add(mount.mountPath)
    if (mount.name && devices.some((d) => d.name === mount.name)) out.push(invalid(`${here}.name`, mount.name, 'must not already exist in volumeDevices'))
    if (mount.mountPath && devices.some((d) => d.devicePath === mount.mountPath)) out.push(invalid(`${here}.mountPath`, mount.mountPath, 'must not already exist as a path in volumeDevices'))
    out.push(...validateMount(here, mount, container))
  }
  const seen = { name: new Set<string>(), devicePath: new Set<string>() }
  for (const [i, device] of devices.entries()) {
    const here = `${at.replace(/volumeMounts$/, 'volumeDevices')}[${i}]`
    const volume = volumes.get(device.name)
    if (!device.name) out.push(required(`${here}.name`))
    else if (seen.name.has(device.name)) out.push(invalid(`${here}.name`, device.name, 'must be unique'))
    if (volume && !volume.persistentVolumeClaim && !volume.ephemeral) out.push(invalid(`${here}.name`, device.name, 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode'))
    if (device.name && !volume) out.push(notFound(`${here}.name`, device.name))
    if (!device.devicePath) out.push(required(`${here}.devicePath`))
    else if (seen.devicePath.has(device.devicePath)) out.push(invalid(`${here}.devicePath`, device.devicePath, 'must be unique'))
    if (device.devicePath.split('/').includes('..')) out.push(invalid(`${here}.devicePath`, device.devicePath, "must not contain '..'"))
    else if (mounts.some((m) => m.mountPath === device.devicePath)) out.push(invalid(`${here}.devicePath`, device.devicePath, 'must not already exist as a path in volumeMounts'))
    if (mounts.some((m) => m.name === device.name)) out.push(invalid(`${here}.name`, device.name, 'must not already exist in volumeMounts'))
    seen.name.add(device.name)
    seen.devicePath.add(device.devicePath)
  }
  return out
}

function validateMount(at: string, mount: VolumeMount, container: Container): FieldError[] {
  const out = mount.subPath ? validateSubPath(`${at}.subPath`, mount.subPath) : []
  if (mount.subPathExpr) {
    if (mount.subPath) out.push(invalid(`${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'))
    out.push(...validateSubPath(`${at}.subPathExpr`, mount.subPathExpr))
  }
  out.push(...oneOf(`${at}.mountPropagation`, mount.mountPropagation, ['Bidirectional', 'HostToContainer', 'None']))
  if (mount.mountPropagation === 'Bidirectional' && !container.securityContext?.privileged) out.push(forbidden(`${at}.mountPropagation`, 'Bidirectional mount propagation is available only to privileged containers'))
  out.push(...oneOf(`${at}.recursiveReadOnly`, mount.recursiveReadOnly, ['Disabled', 'Enabled', 'IfPossible']))
  if ((mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible') && !mount.readOnly) out.push(forbidden(`${at}.recursiveReadOnly`, 'may only be specified when readOnly is true'))
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

export function validateResources(at: string, resources: ResourceRequirements): FieldError[] {
  const out: FieldError[] = []
  const { limits = {}, requests = {} } = resources
  for (const [name, value] of Object.entries(limits)) out.push(...validateResource(`${at}.limits[${name}]`, name, value))
  for (const [name, value] of Object.entries(requests)) {
    const problems = validateResource(`${at}.requests[${name}]`, name, value)
    out.push(...problems)
    const limit = Object.hasOwn(limits, name) ? limits[name] : undefined
    const overcommit = STANDARD_RESOURCES.has(name)
    if (limit === undefined) {
      if (!overcommit && problems.length === 0) out.push(required(`${at}.limits`, 'Limit must be set for non overcommitable resources'))
      continue
    }
    if (problems.length > 0 || quantity('', limit).length > 0) continue
    const order = compareQuantity(value, limit)
    if (!overcommit && order !== 0) out.push(invalid(`${at}.requests`, value, `must be equal to ${name} limit of ${limit}`))
    else if (order > 0) out.push(invalid(`${at}.requests`, value, `must be less than or equal to ${name} limit of ${limit}`))
  }
  const names = new Set([...Object.keys(limits), ...Object.keys(requests)])
  if ([...names].some((n) => n.startsWith('hugepages-')) && !names.has('cpu') && !names.has('memory')) out.push(forbidden(at, 'HugePages require cpu or memory'))
  return out
}

function validateResource(at: string, name: string, value: string): FieldError[] {
  const out = named(at, name, checkQualifiedName)
  const standard = STANDARD_RESOURCES.has(name) || name.startsWith('hugepages-')
  if (!name.includes('/') && !standard) out.push(invalid(at, name, 'must be a standard resource for containers'))
  const problems = quantity(at, value)
  out.push(...problems)
  if (problems.length === 0 && name.includes('/') && !name.startsWith('kubernetes.io/') && parseQuantity(value).nano % 1_000_000_000n !== 0n) out.push(invalid(at, value, 'must be an integer'))
  return out
}

export function validateIds(at: string, ids: { runAsUser?: number; runAsGroup?: number; fsGroup?: number }): FieldError[] {
  return Object.entries(ids).flatMap(([key, id]) => (id !== undefined && (id < 0 || id > ID_MAX) ? [invalid(`${at}.${key}`, id, rangeMessage(0, ID_MAX))] : []))
}

function validateSecurityContext(at: string, sc: SecurityContext | undefined): FieldError[] {
  if (!sc) return []
  const out = validateIds(at, { ...(sc.runAsUser !== undefined && { runAsUser: sc.runAsUser }), ...(sc.runAsGroup !== undefined && { runAsGroup: sc.runAsGroup }) })
  out.push(...oneOf(`${at}.procMount`, sc.procMount, ['Default', 'Unmasked']))
  if (sc.allowPrivilegeEscalation === false) {
    if (sc.privileged) out.push(invalid(at, sc, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'))
    if (sc.capabilities?.add?.includes('CAP_SYS_ADMIN')) out.push(invalid(at, sc, 'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'))
  }
  return [...out, ...validateProfile(`${at}.seccompProfile`, sc.seccompProfile), ...validateProfile(`${at}.appArmorProfile`, sc.appArmorProfile)]
}

export function validateProfile(at: string, profile: { type: string; localhostProfile?: string } | undefined): FieldError[] {
  if (!profile) return []
  const out = oneOf(`${at}.type`, profile.type, ['Localhost', 'RuntimeDefault', 'Unconfined'], 'required')
  if (profile.type === 'Localhost' && !profile.localhostProfile) out.push(required(`${at}.localhostProfile`, 'must be set when type is Localhost'))
  if (profile.type !== 'Localhost' && profile.localhostProfile !== undefined) out.push(invalid(`${at}.localhostProfile`, profile.localhostProfile, 'can only be set when type is Localhost'))
  return out
}
