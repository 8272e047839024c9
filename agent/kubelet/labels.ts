/** What the agent writes on sandboxes and containers so that nothing but the runtime and the API is needed to know where it left off. */
import type { Container, Pod, Stored } from '#api/types/index.ts'

export const POD_NAME_LABEL = 'io.kubernetes.pod.name'
export const POD_NAMESPACE_LABEL = 'io.kubernetes.pod.namespace'
export const POD_UID_LABEL = 'io.kubernetes.pod.uid'
export const CONTAINER_NAME_LABEL = 'io.kubernetes.container.name'

export const HASH_ANNOTATION = 'io.kubernetes.container.hash'
export const RESTART_COUNT_ANNOTATION = 'io.kubernetes.container.restartCount'
export const TERMINATION_PATH_ANNOTATION = 'io.kubernetes.container.terminationMessagePath'
export const TERMINATION_POLICY_ANNOTATION = 'io.kubernetes.container.terminationMessagePolicy'
export const POD_GRACE_ANNOTATION = 'io.kubernetes.pod.terminationGracePeriod'
/** Seconds to wait after this attempt's end before the next: the crash loop's memory. 0 for a first attempt. */
export const BACKOFF_ANNOTATION = 'skiff.io/restart-backoff-seconds'
/** What the crash loop is of: see crashLoopKey. */
export const CRASH_LOOP_ANNOTATION = 'skiff.io/restart-backoff-of'

/** How often all containers of the pod had been started anew when this one was; none: never. */
export const ROUND_ANNOTATION = 'skiff.io/restart-round'

/** What it asked for when it was made, which no cgroup tells; only of containers that are to be restarted when it changes. */
export const MEMORY_REQUEST_ANNOTATION = 'skiff.io/memory-request'

/** JSON: image volumes by name to the ids of the images that are mounted. */
const IMAGE_VOLUMES_ANNOTATION = 'skiff.io/image-volumes'

export function imageVolumesOf(annotations: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const text = annotations[IMAGE_VOLUMES_ANNOTATION]
  return new Map(text === undefined ? [] : Object.entries(JSON.parse(text) as Record<string, string>))
}

export function podLabels(pod: Stored<Pod>): Record<string, string> {
  return { ...pod.metadata.labels, [POD_NAME_LABEL]: pod.metadata.name, [POD_NAMESPACE_LABEL]: pod.metadata.namespace ?? '', [POD_UID_LABEL]: pod.metadata.uid }
}

export function containerLabels(pod: Stored<Pod>, container: Pick<Container, 'name'>): Record<string, string> {
  return {
    [POD_NAME_LABEL]: pod.metadata.name, [POD_NAMESPACE_LABEL]: pod.metadata.namespace ?? '', [POD_UID_LABEL]: pod.metadata.uid, [CONTAINER_NAME_LABEL]: container.name,
  }
}

export function containerAnnotations(pod: Stored<Pod>, container: Container, attempt: { number: number; backoffSeconds: number; round: number }, volumeImages: ReadonlyMap<string, string>): Record<string, string> {
  return {
    [HASH_ANNOTATION]: containerHash(container),
    [RESTART_COUNT_ANNOTATION]: String(attempt.number),
    [TERMINATION_PATH_ANNOTATION]: container.terminationMessagePath ?? '/dev/termination-log',
    [TERMINATION_POLICY_ANNOTATION]: container.terminationMessagePolicy ?? 'File',
    [POD_GRACE_ANNOTATION]: String(pod.spec?.terminationGracePeriodSeconds ?? 30),
    [BACKOFF_ANNOTATION]: String(attempt.backoffSeconds),
    [CRASH_LOOP_ANNOTATION]: crashLoopKey(container),
    ...(attempt.round > 0 && { [ROUND_ANNOTATION]: String(attempt.round) }),
    ...(container.resizePolicy?.some((p) => p.resourceName === 'memory' && p.restartPolicy === 'RestartContainer') && { [MEMORY_REQUEST_ANNOTATION]: container.resources?.requests?.memory ?? '0' }),
    ...(volumeImages.size > 0 && { [IMAGE_VOLUMES_ANNOTATION]: JSON.stringify(Object.fromEntries(volumeImages)) }),
  }
}

/** Of the fields whose change restarts a container in place: name and image, as upstream since 1.31. FNV-1a, 32 bits, hex. */
export function containerHash(container: Pick<Container, 'name' | 'image'>): string {
  return fnv1a(JSON.stringify([container.name, container.image ?? '']))
}

/** Of the fields whose change makes a crash loop start anew: image and resources, as upstream. */
export function crashLoopKey(container: Pick<Container, 'image' | 'resources'>): string {
  return fnv1a(JSON.stringify([container.image ?? '', container.resources ?? {}]))
}

function fnv1a(text: string): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  return hash.toString(16).padStart(8, '0')
}
