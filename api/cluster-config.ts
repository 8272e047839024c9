/**
 * What every node must know of its cluster: published by servers as the ConfigMap kube-system/skiff-cluster, which
 * nodes may read. A plain object of the public API, so that anybody can look at it.
 */
import type { ConfigMap } from './types/index.ts'

export const CLUSTER_CONFIG_NAME = 'skiff-cluster'
export const CLUSTER_CONFIG_NAMESPACE = 'kube-system'

export interface ClusterConfig {
  /** An IPv4 network; in a cluster of two families with an IPv6 one behind a comma. */
  clusterCidr: string
  /** Likewise. */
  serviceCidr: string
  clusterDns: string
  clusterDomain: string
  /** Parts that `--disable` switched off for all nodes: `dns`, `proxy`. */
  disabled: readonly string[]
}

export function clusterConfigMap(config: ClusterConfig): ConfigMap {
  return {
    apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: CLUSTER_CONFIG_NAME, namespace: CLUSTER_CONFIG_NAMESPACE },
    data: { 'cluster-cidr': config.clusterCidr, 'service-cidr': config.serviceCidr, 'cluster-dns': config.clusterDns, 'cluster-domain': config.clusterDomain, disabled: config.disabled.join(',') },
  }
}

/** Throws a sentence naming what is missing: somebody changed the ConfigMap by hand. */
export function parseClusterConfig(map: ConfigMap): ClusterConfig {
  const value = (key: string): string => {
    const text = map.data?.[key]
    if (text === undefined || text === '') throw new Error(`ConfigMap ${CLUSTER_CONFIG_NAMESPACE}/${CLUSTER_CONFIG_NAME} lacks ${key}: restart a server, which writes it again`)
    return text
  }
  return {
    clusterCidr: value('cluster-cidr'), serviceCidr: value('service-cidr'), clusterDns: value('cluster-dns'), clusterDomain: value('cluster-domain'),
    disabled: (map.data?.['disabled'] ?? '').split(',').filter((d) => d !== ''),
  }
}

/** What of it the network of nodes is made of, which is IPv4. */
export function ipv4Part(config: ClusterConfig): ClusterConfig {
  const first = (cidrs: string): string => cidrs.split(',').find((cidr) => !cidr.includes(':')) ?? cidrs
  return { ...config, clusterCidr: first(config.clusterCidr), serviceCidr: first(config.serviceCidr) }
}
