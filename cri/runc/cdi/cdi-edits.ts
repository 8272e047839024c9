/** What devices that vendors described (CDI) do to a container's config.json. Pure. */
import { CodedError } from '#base/errors.ts'
import type { ContainerEdits, OciHook } from '../oci-spec.ts'
import type { CdiDeviceNode, CdiEdits } from './cdi-spec.ts'

/** Runtimes give all of them where nothing is said. */
const ACCESS = 'rwm'
const MODE = 0o666

export interface HostDevice { type: 'b' | 'c' | 'p'; major: number; minor: number }

export const NO_EDITS: ContainerEdits = { env: [], devices: [], mounts: [], hooks: {}, additionalGids: [], intelRdt: undefined }

/** In order: the last word on a path counts. `hosts`: the machine's devices at the paths that are named. Throws CRI_FAILED for one that is not there. */
export function mergeEdits(all: readonly CdiEdits[], hosts: ReadonlyMap<string, HostDevice>): ContainerEdits {
  const hooks: Record<string, OciHook[]> = {}
  for (const { hookName, path, args, env, timeout } of all.flatMap((e) => e.hooks)) {
    (hooks[hookName] ??= []).push({ path, ...(args.length > 0 && { args }), ...(env.length > 0 && { env }), ...(timeout !== undefined && { timeout }) })
  }
  return {
    env: all.flatMap((e) => e.env),
    devices: lastOf(all.flatMap((e) => e.deviceNodes.map((node) => deviceOfNode(node, hosts.get(node.hostPath)))), ({ path }) => path),
    mounts: lastOf(all.flatMap((e) => e.mounts).map(({ hostPath, containerPath, type, options }) => ({ destination: containerPath, type, source: hostPath, options })), ({ destination }) => destination),
    hooks,
    additionalGids: [...new Set(all.flatMap((e) => e.additionalGids))],
    intelRdt: all.findLast((e) => e.intelRdt !== undefined)?.intelRdt,
  }
}

function lastOf<T>(items: readonly T[], key: (item: T) => string): T[] {
  const byKey = new Map<string, T>()
  for (const item of items) {
    byKey.delete(key(item))
    byKey.set(key(item), item)
  }
  return [...byKey.values()]
}

function deviceOfNode(node: CdiDeviceNode, host: HostDevice | undefined): ContainerEdits['devices'][number] {
  const failed = (what: string): CodedError => new CodedError('CRI_FAILED', `CDI device injection failed: CDI device (${JSON.stringify(node.path)}, ${JSON.stringify(node.hostPath)}), ${what}`)
  const saysAll = node.type !== '' && (node.major !== 0 || node.type === 'p')
  if (!saysAll && !host) throw failed('failed to stat: there is no such device')
  const type = node.type === '' ? host?.type ?? 'c' : node.type
  if (!saysAll && host?.type !== (type === 'u' ? 'c' : type)) throw failed(`host type mismatch (${node.type}, ${host?.type ?? ''})`)
  const { major, minor } = saysAll || node.major !== 0 ? node : host ?? node
  return {
    path: node.path, type, major, minor, fileMode: node.fileMode ?? MODE, access: node.permissions || ACCESS,
    ...(node.uid !== undefined && { uid: node.uid }), ...(node.gid !== undefined && { gid: node.gid }),
  }
}
