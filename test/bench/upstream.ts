/**
 * Upstream on the machine the budgets were set on: Kubernetes 1.20 built from Debian's source, etcd 3.4, containerd
 * 1.6, one node, 2 cores. Medians; the API figures with 2,000 objects and 32 requests in flight.
 */
export const UPSTREAM = {
  createPerSecond: 574,
  createPodPerSecond: 317,
  getPerSecond: 1_198,
  updatePerSecond: 730,
  mergePatchPerSecond: 274,
  listsPerSecond: 8.1,
  listsByLabelPerSecond: 10.5,
  fanOutEventsPerSecond: 7_676,
  podReadyP50Ms: 890,
  deploymentReadySeconds: 14.3,
  podGoneMs: 7_100,
  clusterRssMB: 753,
  idleCpuPercent: 6.5,
  idleWrittenMBPerHour: 39,
} as const
