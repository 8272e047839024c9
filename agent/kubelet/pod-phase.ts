/** status.phase from the container statuses: upstream's getPhase. Pure. */
import type { ContainerStatus } from '#api/types/index.ts'
import { restartsAfter } from './restart.ts'
import { RESTARTING_ALL } from './restart-all.ts'
import { initContainers, isStarted, newest, type PodView } from './view.ts'

export function podPhase(view: PodView, statuses: { init: ContainerStatus[]; app: ContainerStatus[] }, stopped: boolean): string {
  const { pod } = view
  let initPending = 0
  let sidecarsPending = 0
  for (const [i, c] of initContainers(pod).entries()) {
    const s = statuses.init[i]
    if (c.type === 'sidecar') {
      const running = s?.state?.running !== undefined
      if (running ? !isStarted(view, c.spec, newest(view, c.spec.name)) : !s?.state?.terminated && !s?.lastState?.terminated) sidecarsPending++
      continue
    }
    const ended = s?.state?.terminated ?? (s?.state?.waiting ? s.lastState?.terminated : undefined)
    if (!ended) initPending++
    else if (ended.exitCode !== 0) {
      if (stopped || (ended.reason !== RESTARTING_ALL && !restartsAfter(pod, c.spec, 'init', ended.exitCode))) return 'Failed'
      initPending++
    }
  }
  const count = { waiting: 0, running: 0, stopped: 0, succeeded: 0 }
  for (const s of statuses.app) {
    if (s.state?.running) count.running++
    else if (s.state?.terminated) {
      count.stopped++
      if (s.state.terminated.exitCode === 0) count.succeeded++
    } else if (s.lastState?.terminated) count.stopped++
    else count.waiting++
  }
  if (stopped) return count.waiting === 0 && count.succeeded === statuses.app.length ? 'Succeeded' : 'Failed'
  const initialised = statuses.app.some((s) => s.state?.running !== undefined || s.state?.terminated !== undefined || s.lastState?.terminated !== undefined)
  if (initPending > 0 && !initialised) return 'Pending'
  if (sidecarsPending > 0 && !initialised) return 'Pending'
  if (count.waiting > 0) return 'Pending'
  return 'Running'
}
