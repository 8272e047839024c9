/** A sandbox whose pod neither the API nor the disk knows any more: just enough of a Pod to end it. Pure. */
import type { Pod, Stored } from '#api/types/index.ts'
import type { SandboxStatus } from '#cri/index.ts'

/** As upstream, what nobody wants any more gets one second. */
const GRACE_SECONDS = 1

export function orphanPod({ metadata, createdAtMs }: SandboxStatus): Stored<Pod> {
  const created = `${new Date(createdAtMs).toISOString().slice(0, 19)}Z`
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: { name: metadata.name, namespace: metadata.namespace, uid: metadata.uid, resourceVersion: '0', creationTimestamp: created, deletionTimestamp: created, deletionGracePeriodSeconds: GRACE_SECONDS },
    spec: { containers: [], terminationGracePeriodSeconds: GRACE_SECONDS },
  }
}
