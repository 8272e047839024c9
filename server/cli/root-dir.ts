/**
 * Where pods' files and the sockets of plugins are. The manifests of CSI drivers, device plugins and backup tools mount
 * /var/lib/kubelet by its name: it is theirs to find, unless several nodes share the machine.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { FlagValues } from './flags.ts'

const DEFAULT_DATA_DIR = '/var/lib/skiff'
const KUBELET_DIR = '/var/lib/kubelet'

export function rootDirOf(values: FlagValues, exists: (path: string) => boolean = existsSync): string {
  const given = String(values['root-dir'] ?? '')
  if (given !== '') return resolve(given)
  const dataDir = resolve(String(values['data-dir'] ?? DEFAULT_DATA_DIR))
  const own = join(dataDir, 'agent')
  // Pods of an earlier release, which kept them there, are not moved while they run.
  return dataDir !== DEFAULT_DATA_DIR || exists(join(own, 'pods')) ? own : KUBELET_DIR
}
