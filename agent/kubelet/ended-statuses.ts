/** What the containers of a pod that has ended say if they never ran or were lost: upstream's status manager, TerminatePod. Pure. */
import type { ContainerStatus } from '#api/types/index.ts'
import { initContainers, type PodView } from './view.ts'

interface Statuses { init: ContainerStatus[]; app: ContainerStatus[] }

/** App containers of a pod whose init containers never were done stay waiting; so do init containers that were never tried. */
export function endedStatuses(view: PodView, { init, app }: Statuses): Statuses {
  const tried = Math.max(1, init.findLastIndex(hasRun) + 1)
  return {
    init: init.map((status, i) => (i < tried ? ended(status) : status)),
    app: isInitialized(view, { init, app }) ? app.map(ended) : app,
  }
}

/** Upstream's hasPodInitialized. */
function isInitialized(view: PodView, { init, app }: Statuses): boolean {
  const last = initContainers(view.pod).at(-1)
  if (!last || app.some(hasRun)) return true
  const status = init.at(-1)
  if (last.type === 'sidecar') return status?.state?.running !== undefined && status.started === true
  return status?.state?.terminated?.exitCode === 0 || status?.lastState?.terminated?.exitCode === 0
}

function hasRun(status: ContainerStatus): boolean {
  return !status.state?.waiting || status.lastState?.terminated !== undefined
}

function ended(status: ContainerStatus): ContainerStatus {
  if (status.state?.terminated) return status
  return { ...status, state: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message: 'The container could not be located when the pod was terminated' } } }
}
