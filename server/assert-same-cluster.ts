/** What a cluster was made with and cannot change: pods, Services and tokens already carry it. Read before anything is written. */
import { CLUSTER_CONFIG_NAME, CLUSTER_CONFIG_NAMESPACE, parseClusterConfig, type ClusterConfig } from '#api/cluster-config.ts'
import type { ConfigMap } from '#api/types/index.ts'
import { UsageError } from '#base/errors.ts'
import type { Store } from './store/store.ts'

const KEY = `/registry/core/configmaps/${CLUSTER_CONFIG_NAMESPACE}/${CLUSTER_CONFIG_NAME}`

const FIXED = { clusterCidr: '--cluster-cidr', serviceCidr: '--service-cidr', clusterDns: '--cluster-dns', clusterDomain: '--cluster-domain' } as const

/** Throws UsageError when the store holds a cluster with other addresses or another domain. */
export async function assertSameCluster(store: Store, wanted: ClusterConfig): Promise<void> {
  const stored = await store.get(KEY)
  if (!stored) return
  let before: ClusterConfig
  try {
    before = parseClusterConfig(JSON.parse(stored.value.toString()) as ConfigMap)
  } catch {
    // Somebody emptied it by hand: nothing to compare with, and it is written again at this start.
    return
  }
  for (const [key, flag] of Object.entries(FIXED) as [keyof typeof FIXED, string][]) {
    if (before[key] !== wanted[key]) throw new UsageError(`${flag}: this cluster was made with ${before[key]} and cannot change to ${wanted[key]}: pass ${flag} ${before[key]}, or start a new cluster in an empty --data-dir`)
  }
}
