/**
 * A vendor's description of devices, as it stands in a file: what of it is right. Pure.
 * https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md, up to 1.1.0.
 */
export interface CdiDeviceNode { path: string; hostPath: string; type: '' | 'b' | 'c' | 'u' | 'p'; major: number; minor: number; fileMode?: number; permissions: string; uid?: number; gid?: number }
export interface CdiMount { hostPath: string; containerPath: string; type: string; options: string[] }
export const HOOK_NAMES = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const
export type HookName = typeof HOOK_NAMES[number]
export interface CdiHook { hookName: HookName; path: string; args: string[]; env: string[]; timeout?: number }

/** What a container gets. */
export interface CdiEdits { env: string[]; deviceNodes: CdiDeviceNode[]; mounts: CdiMount[]; hooks: CdiHook[]; additionalGids: number[]; intelRdt?: Record<string, string | boolean> }
export interface CdiSpec {
  /** `vendor.com/class`. */
  kind: string
  devices: ReadonlyMap<string, CdiEdits>
  /** Of whoever gets any of the devices, before the device's own. */
  edits: CdiEdits
}

const VERSIONS = new Set(['0.1.0', '0.2.0', '0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0'])
const VENDOR = /^[A-Za-z](?:[\w.-]*[A-Za-z0-9])?$/
const CLASS = /^[A-Za-z](?:[\w-]*[A-Za-z0-9])?$/
const DEVICE = /^[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?$/
const RDT = { closID: 'string', l3CacheSchema: 'string', memBwSchema: 'string', enableCMT: 'boolean', enableMBM: 'boolean', enableMonitoring: 'boolean' } as const

/** `vendor.com/class=device`. */
export function isQualifiedName(name: string): boolean {
  const [, vendor = '', kind = '', device = ''] = /^([^/=]*)\/([^/=]*)=(.*)$/s.exec(name) ?? []
  return VENDOR.test(vendor) && CLASS.test(kind) && DEVICE.test(device)
}

/** Throws Error that says what is wrong. Fields that are not known are passed over, as upstream's own reader does. */
export function parseCdiSpec(document: unknown): CdiSpec {
  const spec = mapping(document, 'the document')
  const version = text(spec['cdiVersion'], 'cdiVersion')
  if (!VERSIONS.has(version.replace(/^v/, ''))) throw new Error(`invalid version ${JSON.stringify(version)}`)
  const kind = text(spec['kind'], 'kind')
  const [vendor = '', name = '', ...more] = kind.split('/')
  if (!VENDOR.test(vendor) || !CLASS.test(name) || more.length > 0) throw new Error(`invalid kind ${JSON.stringify(kind)}: it must be vendor/class`)
  const devices = new Map<string, CdiEdits>()
  for (const item of list(spec['devices'], 'devices')) {
    const device = mapping(item, 'a device')
    const called = text(device['name'], 'a device\'s name')
    if (!DEVICE.test(called)) throw new Error(`invalid device name ${JSON.stringify(called)}`)
    if (devices.has(called)) throw new Error(`invalid spec, multiple device ${JSON.stringify(called)}`)
    const edits = editsOf(device['containerEdits'], `device ${called}`)
    if (isEmpty(edits)) throw new Error(`invalid device ${JSON.stringify(called)}, empty device edits`)
    devices.set(called, edits)
  }
  if (devices.size === 0) throw new Error('invalid spec, no devices')
  return { kind, devices, edits: editsOf(spec['containerEdits'], 'the spec') }
}

const isEmpty = (e: CdiEdits): boolean => e.env.length + e.deviceNodes.length + e.mounts.length + e.hooks.length + e.additionalGids.length === 0 && e.intelRdt === undefined

function editsOf(value: unknown, whose: string): CdiEdits {
  const edits = value === undefined || value === null ? {} : mapping(value, `${whose}: containerEdits`)
  // Passing over these would start a container without its network.
  if (list(edits['netDevices'], `${whose}: netDevices`).length > 0) throw new Error(`${whose}: netDevices: the OCI runtimes of this node do not know them`)
  const intelRdt = edits['intelRdt'] === undefined || edits['intelRdt'] === null ? undefined : rdtOf(mapping(edits['intelRdt'], `${whose}: intelRdt`), whose)
  return {
    env: texts(edits['env'], `${whose}: env`).map((entry) => {
      if (entry.indexOf('=') < 1) throw new Error(`${whose}: invalid environment variable ${JSON.stringify(entry)}`)
      return entry
    }),
    deviceNodes: list(edits['deviceNodes'], `${whose}: deviceNodes`).map((item) => deviceNodeOf(mapping(item, `${whose}: a device node`), whose)),
    mounts: list(edits['mounts'], `${whose}: mounts`).map((item) => mountOf(mapping(item, `${whose}: a mount`), whose)),
    hooks: list(edits['hooks'], `${whose}: hooks`).map((item) => hookOf(mapping(item, `${whose}: a hook`), whose)),
    // 0 adds nothing, as upstream.
    additionalGids: list(edits['additionalGids'], `${whose}: additionalGids`).map((gid) => number(gid, `${whose}: additionalGids`)).filter((gid) => gid !== 0),
    ...(intelRdt && { intelRdt }),
  }
}

function deviceNodeOf(node: Mapping, whose: string): CdiDeviceNode {
  const path = text(node['path'], `${whose}: a device node's path`)
  if (path === '') throw new Error(`${whose}: invalid (empty) device path`)
  const type = optionalText(node['type'], `${whose}: ${path}: type`)
  if (type !== '' && type !== 'b' && type !== 'c' && type !== 'u' && type !== 'p') throw new Error(`${whose}: device ${JSON.stringify(path)}: invalid type ${JSON.stringify(type)}`)
  const permissions = optionalText(node['permissions'], `${whose}: ${path}: permissions`)
  if (!/^[rwm]*$/.test(permissions)) throw new Error(`${whose}: device ${JSON.stringify(path)}: invalid permissions ${JSON.stringify(permissions)}`)
  const optional = (key: string): number | undefined => (node[key] === undefined || node[key] === null ? undefined : number(node[key], `${whose}: ${path}: ${key}`))
  const [fileMode, uid, gid] = [optional('fileMode'), optional('uid'), optional('gid')]
  return {
    path, type, permissions, hostPath: optionalText(node['hostPath'], `${whose}: ${path}: hostPath`) || path, major: optional('major') ?? 0, minor: optional('minor') ?? 0,
    ...(fileMode !== undefined && { fileMode }), ...(uid !== undefined && { uid }), ...(gid !== undefined && { gid }),
  }
}

function mountOf(mount: Mapping, whose: string): CdiMount {
  const hostPath = optionalText(mount['hostPath'], `${whose}: a mount's hostPath`)
  const containerPath = optionalText(mount['containerPath'], `${whose}: a mount's containerPath`)
  if (hostPath === '') throw new Error(`${whose}: invalid mount, empty host path`)
  if (containerPath === '') throw new Error(`${whose}: invalid mount, empty container path`)
  return { hostPath, containerPath, type: optionalText(mount['type'], `${whose}: ${containerPath}: type`), options: texts(mount['options'], `${whose}: ${containerPath}: options`) }
}

function hookOf(hook: Mapping, whose: string): CdiHook {
  const hookName = optionalText(hook['hookName'], `${whose}: a hook's name`)
  const known = HOOK_NAMES.find((name) => name === hookName)
  if (!known) throw new Error(`${whose}: invalid hook name ${JSON.stringify(hookName)}`)
  const path = optionalText(hook['path'], `${whose}: ${hookName}: path`)
  if (path === '') throw new Error(`${whose}: invalid hook ${hookName} with empty path`)
  const timeout = hook['timeout'] === undefined || hook['timeout'] === null ? undefined : number(hook['timeout'], `${whose}: ${hookName}: timeout`)
  return { hookName: known, path, args: texts(hook['args'], `${whose}: ${hookName}: args`), env: texts(hook['env'], `${whose}: ${hookName}: env`), ...(timeout !== undefined && { timeout }) }
}

function rdtOf(rdt: Mapping, whose: string): Record<string, string | boolean> {
  const found: Record<string, string | boolean> = {}
  for (const [key, type] of Object.entries(RDT)) {
    const value = rdt[key]
    if (value === undefined || value === null) continue
    if (typeof value !== type) throw new Error(`${whose}: intelRdt: ${key} is no ${type}`)
    found[key] = value as string | boolean
  }
  const id = found['closID']
  if (typeof id === 'string' && (id.length > 4096 || id === '.' || id === '..' || /[/\n]/.test(id))) throw new Error(`${whose}: intelRdt: invalid ClosID ${JSON.stringify(id)}`)
  return found
}

type Mapping = Readonly<Record<string, unknown>>

function mapping(value: unknown, what: string): Mapping {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is no mapping`)
  return value as Mapping
}

function list(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new Error(`${what} is no list`)
  return value
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Error(`${what} is no text`)
  return value
}

const optionalText = (value: unknown, what: string): string => (value === undefined || value === null ? '' : text(value, what))
const texts = (value: unknown, what: string): string[] => list(value, what).map((item) => text(item, what))

function number(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw new Error(`${what} is no whole number`)
  return value
}
