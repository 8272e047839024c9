/**
 * The devices that vendors described on this machine (CDI), read when a container wants one: its files come and go with drivers
 * and plugins, and few containers ask.
 */
import { lstat, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import { deviceOf } from '../device-number.ts'
import type { ContainerEdits } from '../oci-spec.ts'
import { mergeEdits, NO_EDITS, type HostDevice } from './cdi-edits.ts'
import { isQualifiedName, parseCdiSpec, type CdiEdits, type CdiSpec } from './cdi-spec.ts'

/** Where every CRI runtime looks; a device of a later one hides that of an earlier one. */
export const CDI_DIRS: readonly string[] = ['/etc/cdi', '/var/run/cdi']
/** Containers' annotations that name devices, the way of before `cdiDevices`. */
const ANNOTATION = 'cdi.k8s.io/'
const FILE_BYTES_MAX = 1024 * 1024
const FILES_MAX = 1_000

/** Names that a container's configuration has, each once. Throws CRI_INVALID for an annotation that names none. */
export function wantedCdiDevices({ cdiDevices = [], annotations }: { cdiDevices?: readonly string[]; annotations: Readonly<Record<string, string>> }): string[] {
  const annotated = Object.entries(annotations).filter(([key]) => key.startsWith(ANNOTATION)).flatMap(([key, value]) => value.split(',').map((name) => {
    if (!isQualifiedName(name)) throw new CodedError('CRI_INVALID', `annotation ${key}: invalid CDI device name ${JSON.stringify(name)}: it must be vendor/class=device`)
    return name
  }))
  return [...new Set([...annotated, ...cdiDevices])]
}

/** What a container gets with the devices. Throws CRI_FAILED when one is not described, twice, or not there. */
export async function cdiEdits(names: readonly string[], dirs: readonly string[]): Promise<ContainerEdits> {
  if (names.length === 0) return NO_EDITS
  const { devices, problems } = await readDescriptions(dirs)
  const unknown = names.filter((name) => !devices.get(name))
  if (unknown.length > 0) throw failed(`unresolvable CDI devices ${unknown.join(', ')}${problems.length > 0 ? ` (${problems.join('; ')})` : ''}`)
  const specs = new Set<CdiSpec>()
  const edits: CdiEdits[] = []
  for (const name of names) {
    const found = devices.get(name)
    if (!found) continue
    // What is everybody's once, before what is the device's.
    if (!specs.has(found.spec)) edits.push(found.spec.edits)
    specs.add(found.spec)
    edits.push(found.edits)
  }
  const hosts = new Map<string, HostDevice>()
  for (const { hostPath } of edits.flatMap((e) => e.deviceNodes)) {
    const host = await deviceAt(hostPath)
    if (host) hosts.set(hostPath, host)
  }
  return mergeEdits(edits, hosts)
}

const failed = (message: string): CodedError => new CodedError('CRI_FAILED', `CDI device injection failed: ${message}`)

interface Described { spec: CdiSpec; edits: CdiEdits }

/** `undefined` for a device that two files of one directory describe: nobody can say which is meant. `problems`: of files that tell nothing. */
async function readDescriptions(dirs: readonly string[]): Promise<{ devices: Map<string, Described | undefined>; problems: string[] }> {
  const devices = new Map<string, Described | undefined>()
  const problems: string[] = []
  for (const dir of dirs) {
    const here = new Map<string, { path: string; described: Described }>()
    for (const path of await filesIn(dir)) {
      let spec: CdiSpec
      try {
        spec = await readSpec(path)
      } catch (error) {
        problems.push(`${path}: ${asError(error).message}`)
        continue
      }
      for (const [device, edits] of spec.devices) {
        const name = `${spec.kind}=${device}`
        const other = here.get(name)
        if (other) problems.push(`conflicting device ${JSON.stringify(name)} (specs ${JSON.stringify(other.path)}, ${JSON.stringify(path)})`)
        else here.set(name, { path, described: { spec, edits } })
        devices.set(name, other ? undefined : { spec, edits })
      }
    }
  }
  return { devices, problems }
}

async function filesIn(dir: string): Promise<string[]> {
  let names: string[]
  try {
    names = (await readdir(dir)).filter((name) => /\.(json|yaml)$/.test(name)).toSorted()
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return []
    throw failed(`${dir} cannot be read: ${asError(error).message}`)
  }
  if (names.length > FILES_MAX) throw failed(`${dir} holds ${names.length} descriptions, more than ${FILES_MAX}: remove those of devices that are gone`)
  return names.map((name) => join(dir, name))
}

async function readSpec(path: string): Promise<CdiSpec> {
  const { size } = await stat(path)
  if (size > FILE_BYTES_MAX) throw new Error(`larger than ${FILE_BYTES_MAX} bytes`)
  const text = await readFile(path, 'utf8')
  if (path.endsWith('.json')) return parseCdiSpec(JSON.parse(text))
  const { load } = await import('js-yaml')
  return parseCdiSpec(load(text))
}

/** Undefined: there is none, which matters only where the description does not say all. */
async function deviceAt(path: string): Promise<HostDevice | undefined> {
  try {
    const found = await lstat(path)
    const type = found.isBlockDevice() ? 'b' : found.isCharacterDevice() ? 'c' : found.isFIFO() ? 'p' : undefined
    return type && { type, ...(type === 'p' ? { major: 0, minor: 0 } : deviceOf(BigInt(found.rdev))) }
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined
    throw failed(`${path}: ${asError(error).message}`)
  }
}
