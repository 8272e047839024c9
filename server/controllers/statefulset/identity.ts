/** What makes a pod the n-th of a StatefulSet: its name, labels, host name and claims (upstream's stateful_set_utils). Pure. */
import { STATEFUL_SETS, type PersistentVolumeClaim, type Pod, type PodTemplateSpec, type StatefulSet, type Stored, type Volume } from '#api/types/index.ts'
import { podOf } from '../pod-control.ts'
import { REVISION_HASH } from '../revisions.ts'

export const POD_NAME = 'statefulset.kubernetes.io/pod-name'
export const POD_INDEX = 'apps.kubernetes.io/pod-index'

export const podName = (set: Stored<StatefulSet>, ordinal: number): string => `${set.metadata.name}-${ordinal}`

/** Undefined: it is none of the set's, whatever its labels say. */
export function ordinalOf(set: Stored<StatefulSet>, pod: Stored<Pod>): number | undefined {
  const match = /^(.*)-(\d+)$/.exec(pod.metadata.name)
  return match?.[1] === set.metadata.name ? Number(match[2]) : undefined
}

export const claimName = (set: Stored<StatefulSet>, template: PersistentVolumeClaim, ordinal: number): string => `${template.metadata?.name ?? ''}-${set.metadata.name}-${ordinal}`

/** What a pod's claims are to be. */
export function claimsFor(set: Stored<StatefulSet>, ordinal: number): PersistentVolumeClaim[] {
  return (set.spec?.volumeClaimTemplates ?? []).map((template) => ({
    ...template, apiVersion: 'v1', kind: 'PersistentVolumeClaim',
    metadata: {
      name: claimName(set, template, ordinal), ...(set.metadata.namespace !== undefined && { namespace: set.metadata.namespace }), labels: { ...template.metadata?.labels, ...set.spec?.selector.matchLabels },
      ...(template.metadata?.annotations && { annotations: template.metadata.annotations }), ...(template.metadata?.finalizers && { finalizers: template.metadata.finalizers }),
    },
  }))
}

/** `template`: of the revision it is of. */
export function podFor(set: Stored<StatefulSet>, ordinal: number, revision: string, template: PodTemplateSpec | undefined): Pod {
  const name = podName(set, ordinal)
  const pod = podOf(STATEFUL_SETS, set, template, { name, generateName: `${set.metadata.name}-` })
  const { serviceName } = set.spec ?? {}
  return {
    ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata?.labels, ...identityLabels(name, ordinal), [REVISION_HASH]: revision } },
    ...(pod.spec && { spec: { ...pod.spec, hostname: name, ...(serviceName && { subdomain: serviceName }), ...volumesOf(set, ordinal, pod.spec.volumes) } }),
  }
}

const identityLabels = (name: string, ordinal: number): Record<string, string> => ({ [POD_NAME]: name, [POD_INDEX]: String(ordinal) })

/** Claims take the place of the template's volumes of the same name. */
function volumesOf(set: Stored<StatefulSet>, ordinal: number, given: readonly Volume[] = []): { volumes?: Volume[] } {
  const claimed = (set.spec?.volumeClaimTemplates ?? []).map((template): Volume => ({ name: template.metadata?.name ?? '', persistentVolumeClaim: { claimName: claimName(set, template, ordinal), readOnly: false } }))
  const volumes = [...claimed, ...given.filter((v) => !claimed.some((c) => c.name === v.name))]
  return volumes.length > 0 ? { volumes } : {}
}

/** The labels it lacks; undefined: it is as it should be. */
export function missingLabels(set: Stored<StatefulSet>, pod: Stored<Pod>): Record<string, string> | undefined {
  const wanted = identityLabels(pod.metadata.name, ordinalOf(set, pod) ?? 0)
  return Object.entries(wanted).every(([key, value]) => pod.metadata.labels?.[key] === value) ? undefined : wanted
}
