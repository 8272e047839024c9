/**
 * What pods have below `--root-dir`. Another kubelet's files may be in that directory, too: only those of pods that skiff
 * has known are looked at, and what it makes there for plugins.
 */
import { readFileSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'
import { entriesOf } from './ownership.ts'
import type { Removal } from './removal.ts'

type Where = Pick<Removal, 'dataDir' | 'rootDir'>

/** Mounts of volumes for the whole node, sockets for plugins and monitors, and who may use which image: a kubelet that finds no record asks anew. */
const PLUGIN_ENTRIES = ['plugins/kubernetes.io/csi', 'plugins/kubernetes.io/local-volume', 'device-plugins/kubelet.sock', 'device-plugins/kubelet_internal_checkpoint', 'device-plugins/skiff_checkpoint', 'pod-resources/kubelet.sock', 'image_manager', 'dra_manager_state', 'dra_manager_state.damaged']
/** Removed where nothing is left in them, innermost first. */
const DIRECTORIES = ['pods', 'plugins/kubernetes.io', 'plugins', 'plugins_registry', 'device-plugins', 'pod-resources', '']

/** Of all pods that were remembered, by anyone. */
export function podUids({ dataDir, rootDir }: Where): string[] {
  const agentDir = join(dataDir, 'agent')
  const fromSandboxes = entriesOf(join(agentDir, 'sandboxes')).map((file) => {
    try {
      return (JSON.parse(readFileSync(join(agentDir, 'sandboxes', file), 'utf8')) as { config?: { metadata?: { uid?: unknown } } }).config?.metadata?.uid
    } catch (error) {
      void error // Half written in a power cut; what is kept of the pod names it.
      return undefined
    }
  })
  const fromRecords = entriesOf(join(agentDir, 'known-pods')).filter((f) => f.endsWith('.json')).map((f) => f.slice(0, -'.json'.length))
  const safe = (uid: unknown): uid is string => typeof uid === 'string' && /^[\w.-]{8,64}$/.test(uid)
  return [...new Set([...(isOwn({ dataDir, rootDir }) ? entriesOf(join(rootDir, 'pods')) : []), ...fromSandboxes, ...fromRecords].filter(safe))]
}

/** With the agent's own files, that is: they go with them. */
const isOwn = ({ dataDir, rootDir }: Where): boolean => rootDir === join(dataDir, 'agent')

/** All that mounts may be below, beyond the agent's own files. */
export function podPaths(where: Where, uids: readonly string[]): string[] {
  const { rootDir } = where
  return isOwn(where) ? [] : [...uids.map((uid) => join(rootDir, 'pods', uid)), ...PLUGIN_ENTRIES.map((entry) => join(rootDir, entry))]
}

/** Nothing is mounted below them any more. True: there was something. */
export function removePodFiles(where: Where, uids: readonly string[]): boolean {
  const { dataDir, rootDir } = where
  if (isOwn(where) || entriesOf(join(dataDir, 'agent')).length === 0) return false
  const there = entriesOf(rootDir).length > 0
  for (const path of podPaths(where, uids)) rmSync(path, { recursive: true, force: true })
  for (const directory of DIRECTORIES) {
    try {
      rmdirSync(join(rootDir, directory))
    } catch (error) {
      if (!['ENOENT', 'ENOTEMPTY', 'EBUSY', 'EEXIST'].some((code) => hasCode(error, code))) throw error
    }
  }
  return there && entriesOf(rootDir).length === 0
}
