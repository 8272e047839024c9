/**
 * When the machine goes down: what runs is asked to end while it still has its network and disks, then ended. Left alone it
 * would hold up the way down for a minute and a half, until systemd kills it in the middle of whatever it does: the first
 * process of a container has no default for SIGTERM. Nothing is reported: as after a power cut, the next boot starts it again.
 */
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { ContainerStatus, RuntimeService } from '#cri/index.ts'
import { POD_GRACE_ANNOTATION } from './labels.ts'

/** Stopping as a whole has ten seconds. */
export const SHUTDOWN_GRACE_SECONDS = 5

/** A pod's own grace where that is shorter. */
export function shutdownGraceSeconds(container: Pick<ContainerStatus, 'annotations'>): number {
  const own = Number(container.annotations[POD_GRACE_ANNOTATION] ?? SHUTDOWN_GRACE_SECONDS)
  return Number.isFinite(own) && own >= 0 ? Math.min(own, SHUTDOWN_GRACE_SECONDS) : SHUTDOWN_GRACE_SECONDS
}

/** All at once; never rejects. */
export async function stopContainers(runtime: Pick<RuntimeService, 'listContainers' | 'stopContainer'>, log: Log): Promise<void> {
  const running = await runtime.listContainers({ state: 'running' })
  log.info('the machine goes down: stopping containers', { count: running.length })
  await Promise.all(running.map((container) => runtime.stopContainer(container.id, shutdownGraceSeconds(container))
    .catch((error: unknown) => log.warn('a container does not stop', { container: container.id, error: asError(error) }))))
}
