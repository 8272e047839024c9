/** What the runtime says is not ready, in the kubelet's words. */
import type { ContainerRuntime, RuntimeStatus } from '#cri/index.ts'

export function conditionProblems(conditions: RuntimeStatus['conditions']): string[] {
  return conditions.filter((c) => !c.status).map((c) => (c.type === 'NetworkReady'
    ? `container runtime network not ready: NetworkReady=false reason:${c.reason} message:${c.message}`
    : `container runtime not ready: RuntimeReady=false reason:${c.reason} message:${c.message}`))
}

/** Undefined: the network is ready, or the runtime does not tell. */
export async function networkProblem(runtime: Pick<ContainerRuntime, 'status'>): Promise<string | undefined> {
  // It is asked about a failure that is told in any case.
  const status = await runtime.status().catch(() => undefined)
  return conditionProblems(status?.conditions.filter((c) => c.type === 'NetworkReady') ?? [])[0]
}
