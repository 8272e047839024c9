/** Words and moments that decisions and reports share. */
import type { Pod, Stored } from '#api/types/index.ts'
import type { KillReason } from './pod-action.ts'

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

/** `isStartedAgain`: by its policy; its rules are about how it ends, which nobody knows yet. */
export function killMessage(name: string, because: KillReason, { isSidecar, isStartedAgain }: { isSidecar: boolean; isStartedAgain: boolean }): string {
  const about = (what: string, isRestarted = isStartedAgain) => (isSidecar ? `Init container ${name} ${what}` : `Container ${name} ${what}${isRestarted ? ', will be restarted' : ''}`)
  switch (because) {
    case 'liveness': return about('failed liveness probe')
    case 'startup': return about('failed startup probe')
    case 'definition': return about('definition changed', true)
    case 'resize': return `Container ${name} resize requires restart`
    case 'restartAll': return 'killing'
    case 'postStart': return 'FailedPostStartHook'
    case 'stopping': case 'sandbox': return `Stopping container ${name}`
  }
}
