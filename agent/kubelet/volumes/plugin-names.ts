/** What upstream calls the plugin of a volume, in metrics and (with ~ for /) in directories. Pure. */
import type { PersistentVolume, PersistentVolumeSpec, Volume } from '#api/types/index.ts'

const OF_SOURCE: Readonly<Record<string, string>> = {
  emptyDir: 'kubernetes.io/empty-dir', hostPath: 'kubernetes.io/host-path', configMap: 'kubernetes.io/configmap', secret: 'kubernetes.io/secret', downwardAPI: 'kubernetes.io/downward-api', projected: 'kubernetes.io/projected',
  gitRepo: 'kubernetes.io/git-repo', image: 'kubernetes.io/image', nfs: 'kubernetes.io/nfs', local: 'kubernetes.io/local-volume',
}
const CLAIMS = new Set(['persistentVolumeClaim', 'ephemeral'])
const NOT_AVAILABLE = 'N/A'

/** With the driver, of which there may be several: `kubernetes.io/csi:NAME`. */
const csiPlugin = (driver: string): string => `kubernetes.io/csi:${driver}`

/** Undefined: it claims another one, which has to be looked up. */
export function podVolumePlugin(volume: Volume): string | undefined {
  const source = Object.keys(volume).find((key) => key !== 'name') ?? ''
  if (CLAIMS.has(source)) return undefined
  return volume.csi ? csiPlugin(volume.csi.driver) : OF_SOURCE[source] ?? NOT_AVAILABLE
}

export function persistentPlugin({ spec }: PersistentVolume): string {
  return spec?.csi ? csiPlugin(spec.csi.driver) : OF_SOURCE[sourceOf(spec)] ?? NOT_AVAILABLE
}

/** The member that says where it is. */
export const sourceOf = (spec: PersistentVolumeSpec | undefined): string => Object.keys(spec ?? {}).find((key) => !PLAIN_MEMBERS.has(key)) ?? 'such'

/** Of a PersistentVolume's spec that say nothing of where it is. */
const PLAIN_MEMBERS = new Set(['accessModes', 'capacity', 'claimRef', 'mountOptions', 'nodeAffinity', 'persistentVolumeReclaimPolicy', 'storageClassName', 'volumeAttributesClassName', 'volumeMode'])

/** Below a pod's `volumes`. */
export const pluginDirectory = (plugin: string): string => (plugin.split(':')[0] ?? plugin).replace('/', '~')
export const pluginOfDirectory = (directory: string): string => directory.replace('~', '/')
