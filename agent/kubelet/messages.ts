/** Words and moments that decisions and reports share. */
import type { Pod, Stored } from '#api/types/index.ts'

/** The API shows ErrImagePull this long before ImagePullBackOff takes its place. */
export const PULL_ERROR_SHOWN_MS = 3_000

/** `web_default(uid)`, as upstream's messages name pods. */
export function podText({ pod }: { pod: Stored<Pod> }): string {
  const { name, namespace, uid } = pod.metadata
  return `${name}_${namespace ?? ''}(${uid})`
}

/** Of a container that the runtime knows no more. */
export const LOST_REASON = 'ContainerStatusUnknown'

export const DEADLINE_MESSAGE = 'Pod was active on the node longer than the specified deadline'
