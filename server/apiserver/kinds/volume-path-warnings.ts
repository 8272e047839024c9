/** Files of one volume that lie over each other (`pkg/api/pod/warnings.go` warningsForOverlappingVirtualPaths): only one of them will be there. */
import type { Volume, VolumeProjection } from '#api/types/index.ts'

interface File { path: string; /** Undefined where the volume has but one. */ from?: string }

/** More than an answer's header holds. */
const OVERLAPS_MAX = 1_000

export function overlappingPathWarnings(volumes: readonly Volume[]): string[] {
  return volumes.flatMap(({ name, configMap, secret, downwardAPI, projected }) => {
    const told = (kind: string, files: readonly File[]): string[] => overlaps(files).map((pair) => `volume ${JSON.stringify(name)} (${kind}): overlapping paths: ${pair}`)
    const bare = (items: readonly { path: string }[] | undefined): File[] => (items ?? []).map(({ path }) => ({ path }))
    const sources = projected?.sources ?? []
    return [
      ...told(`ConfigMap ${JSON.stringify(configMap?.name ?? '')}`, bare(configMap?.items)),
      ...told(`Secret ${JSON.stringify(secret?.secretName ?? '')}`, bare(secret?.items)),
      ...told('DownwardAPI', bare(downwardAPI?.items)),
      ...sources.flatMap((source) => (Object.keys(source).length === 0 ? [`volume ${JSON.stringify(name)} (Projected) has no sources provided`] : [])),
      ...told('Projected', sources.flatMap(filesOf)),
    ]
  })
}

function filesOf({ configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle, podCertificate }: VolumeProjection): File[] {
  const from = (kind: string, name?: string): string => (name === undefined ? kind : `${kind} ${JSON.stringify(name)}`)
  const all = (items: readonly { path: string }[] | undefined, source: string): File[] => (items ?? []).map(({ path }) => ({ path, from: source }))
  if (configMap?.items) return all(configMap.items, from('ConfigMap', configMap.name ?? ''))
  if (secret?.items) return all(secret.items, from('Secret', secret.name ?? ''))
  if (downwardAPI?.items) return all(downwardAPI.items, 'DownwardAPI')
  if (serviceAccountToken) return [{ path: serviceAccountToken.path, from: 'ServiceAccountToken' }]
  if (clusterTrustBundle) return [{ path: clusterTrustBundle.path, from: from('ClusterTrustBundle', clusterTrustBundle.name ?? clusterTrustBundle.signerName ?? '') }]
  if (!podCertificate) return []
  const { certificateChainPath, keyPath, credentialBundlePath } = podCertificate
  return [[certificateChainPath, 'chain'], [keyPath, 'key'], [credentialBundlePath, 'credential bundle']].flatMap(([path, part]) => (path ? [{ path, from: `PodCertificate ${part}` }] : []))
}

function overlaps(files: readonly File[]): string[] {
  const out: string[] = []
  const before: File[] = []
  for (const file of files) {
    const here = { ...file, path: withoutTrailingSlashes(file.path) }
    if (here.path !== '') {
      for (const other of before) if (other.path !== '' && within(here.path, other.path)) out.push(`${shown(here)} with ${shown(other)}`)
      if (out.length >= OVERLAPS_MAX) return out
    }
    before.push(here)
  }
  return out
}

function withoutTrailingSlashes(path: string): string {
  let end = path.length
  while (path[end - 1] === '/') end--
  return path.slice(0, end)
}

const within = (a: string, b: string): boolean => `${a}/`.startsWith(`${b}/`) || `${b}/`.startsWith(`${a}/`)

const shown = ({ path, from }: File): string => (from === undefined ? JSON.stringify(path) : `${JSON.stringify(path)} (${from})`)
