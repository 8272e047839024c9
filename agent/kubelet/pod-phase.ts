/** status.phase from the container statuses: upstream's getPhase. Pure. */
import type { ContainerStatus } from '#api/types/index.ts'
import { restartsAfter } from './restart.ts'
import { RESTARTING_ALL } from './restart-all.ts'
import { appContainers, initContainers, isStarted, newest, type PodView } from './view.ts'

export function podPhase(view: PodView, statuses: { init: ContainerStatus[]; app: ContainerStatus[] }, stopped: boolean): string {
  const { pod } = view
  let pending = 0
  const sidecars = { waiting: 0, starting: 0 }
  const count = { waiting: 0, running: 0, stopped: 0, succeeded: 0 }
  for (const [i, c] of initContainers(pod).entries()) {
    const s = statuses.init[i]
    if (c.type === 'sidecar') {
      if (s?.state?.running) {
        if (!isStarted(view, c.spec, newest(view, c.spec.name))) sidecars.starting++
      } else if (!s?.state?.terminated && !s?.lastState?.terminated) sidecars.waiting++
      continue
    }
    const ended = s?.state?.terminated ?? (s?.state?.waiting ? s.lastState?.terminated : undefined)
    // Whatever has run before: after a reboot they run again.
    if (!ended) pending++
    else if (ended.exitCode !== 0 && (stopped || (ended.reason !== RESTARTING_ALL && !restartsAfter(pod, c.spec, 'init', ended.exitCode)))) return 'Failed'
  }
  for (const s of statuses.app) {
    if (s.state?.running) count.running++
    else if (s.state?.terminated) {
      count.stopped++
      if (s.state.terminated.exitCode === 0) count.succeeded++
    } else if (s.lastState?.terminated) count.stopped++
    else count.waiting++
  }
  if (stopped) return count.waiting === 0 && count.succeeded === statuses.app.length ? 'Succeeded' : 'Failed'
  const [sandbox] = view.sandboxes
  const hasBegun = sandbox !== undefined && appContainers(pod).some((c) => newest(view, c.spec.name, sandbox.id))
  if (pending > 0 || count.waiting > 0 || sidecars.waiting > 0 || (sidecars.starting > 0 && !hasBegun)) return 'Pending'
  return 'Running'
}
