/**
 * RestartAllContainers (KEP-5532): one container's exit starts all of the pod anew, in the same sandbox and with the same volumes.
 * Pure. Each container is marked with the round it was started in; an exit that a rule is about begins the next round, and what
 * is of an earlier one is killed and counts as not yet run. So nothing but the runtime is needed to carry on after a crash.
 */
import type { Container, Pod } from '#api/types/index.ts'
import { isSidecar, mayRestartAll } from '#api/types/pods.ts'
import { matchingRule, restartsAfter } from './restart.ts'
import type { ContainerView } from './view.ts'

export const RESTARTING_ALL = 'RestartingAllContainers'
export const RESTARTING_ALL_MESSAGE = 'The container is removed because RestartAllContainers in place'

/** Its end starts all anew. */
export function endsRound(spec: Container, c: ContainerView | undefined): boolean {
  return c?.state === 'exited' && matchingRule(spec, c.exitCode)?.action === 'RestartAllContainers'
}

/**
 * The round that this pod is in. `containers`: newest attempts first. `failures`: by lane. An app container's end waits until the
 * others have been started, too, as upstream starts them in one go.
 */
export function podRound(pod: Pod, containers: readonly ContainerView[], failures: ReadonlyMap<string, unknown>): number {
  if (!mayRestartAll(pod.spec)) return 0
  const round = Math.max(0, ...containers.map((c) => c.round))
  const last = (name: string) => containers.find((c) => c.metadata.name === name && c.round === round)
  /** By then there was nothing left to do: sidecars of a pod that is done may end as they like. */
  const wasFinishedAt = (ms: number) => (pod.spec?.containers ?? []).every((spec) => {
    const c = last(spec.name)
    return c?.state === 'exited' && c.finishedAtMs <= ms && !restartsAfter(pod, spec, 'app', c.exitCode)
  })
  const areStarted = () => (pod.spec?.containers ?? []).every(({ name }) => ![undefined, 'created'].includes(last(name)?.state) || failures.has(`start:${name}`))
  const begins = (pod.spec?.initContainers ?? []).some((spec) => {
    const c = last(spec.name)
    return c !== undefined && endsRound(spec, c) && !(isSidecar(spec) && wasFinishedAt(c.finishedAtMs))
  }) || ((pod.spec?.containers ?? []).some((spec) => endsRound(spec, last(spec.name))) && areStarted())
  return begins ? round + 1 : round
}
