/** Where a pod's files are on the node; upstream's tree below its --root-dir. */
import { join } from 'node:path'
import type { Pod, Stored } from '#api/types/index.ts'
import { containerLink, linkDirectory } from './logs/container-links.ts'

export interface PodPaths {
  readonly podsDir: string
  pod(uid: string): string
  volumes(uid: string): string
  /** `plugin` as upstream escapes it: `kubernetes.io~secret`. */
  volume(uid: string, plugin: string, name: string): string
  /** What a plugin notes about a volume. */
  plugin(uid: string, plugin: string, name: string): string
  plugins(uid: string): string
  subpath(uid: string, volume: string, container: string, index: number): string
  etcHosts(uid: string): string
  terminationLog(uid: string, container: string, attempt: number): string
  logDirectory(pod: Stored<Pod>): string
  /** In /var/log/containers, to the log of one container. */
  logLink(pod: Stored<Pod>, container: string, id: string): string
}

export function podPaths(rootDir: string, podLogsDir: string): PodPaths {
  const podsDir = join(rootDir, 'pods')
  const pod = (uid: string) => join(podsDir, uid)
  return {
    podsDir,
    pod,
    volumes: (uid) => join(pod(uid), 'volumes'),
    volume: (uid, plugin, name) => join(pod(uid), 'volumes', plugin, name),
    plugin: (uid, plugin, name) => join(pod(uid), 'plugins', plugin, name),
    plugins: (uid) => join(pod(uid), 'plugins'),
    subpath: (uid, volume, container, index) => join(pod(uid), 'volume-subpaths', volume, container, String(index)),
    etcHosts: (uid) => join(pod(uid), 'etc-hosts'),
    terminationLog: (uid, container, attempt) => join(pod(uid), 'containers', container, String(attempt)),
    logDirectory: ({ metadata }) => join(podLogsDir, `${metadata.namespace ?? ''}_${metadata.name}_${metadata.uid}`),
    logLink: ({ metadata }, container, id) => containerLink(linkDirectory(podLogsDir), { pod: metadata.name, namespace: metadata.namespace ?? '', container, id }),
  }
}

export function containerLogPath(container: string, attempt: number): string {
  return `${container}/${attempt}.log`
}
