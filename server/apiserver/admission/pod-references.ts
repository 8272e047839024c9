/** Which kinds of other objects a pod's spec names (upstream's VisitPodSecretNames and its like). Pure. */
import { containersOf, type PodSpec } from '#api/types/index.ts'

export interface PodReferences { secrets: boolean; configMaps: boolean; claims: boolean; trustBundles: boolean; resourceClaims: boolean }

export function podReferences(spec: PodSpec): PodReferences {
  const volumes = spec.volumes ?? []
  const projections = volumes.flatMap((v) => v.projected?.sources ?? [])
  const containers = [...containersOf(spec)].map(({ container }) => container)
  const fromEnv = (has: (source: { secretKeyRef?: unknown; configMapKeyRef?: unknown }) => unknown): boolean => containers.some((c) => c.env?.some((e) => e.valueFrom && has(e.valueFrom)))
  return {
    secrets: (spec.imagePullSecrets ?? []).length > 0 || projections.some((p) => p.secret) || fromEnv((s) => s.secretKeyRef) || containers.some((c) => c.envFrom?.some((e) => e.secretRef))
      || volumes.some((v) => v.secret ?? v.azureFile ?? v.cephfs?.secretRef ?? v.cinder?.secretRef ?? v.flexVolume?.secretRef ?? v.rbd?.secretRef ?? v.scaleIO ?? v.iscsi?.secretRef ?? v.storageos?.secretRef ?? v.csi?.nodePublishSecretRef),
    configMaps: volumes.some((v) => v.configMap) || projections.some((p) => p.configMap) || fromEnv((s) => s.configMapKeyRef) || containers.some((c) => c.envFrom?.some((e) => e.configMapRef)),
    claims: volumes.some((v) => v.persistentVolumeClaim),
    trustBundles: projections.some((p) => p.clusterTrustBundle),
    resourceClaims: (spec.resourceClaims ?? []).length > 0,
  }
}
