/** Which containers a pod has, of all kinds. */
import type { Container, PodSpec } from '#api/types/index.ts'

/** All of a pod's containers with their paths, in upstream's order. `at`: of the spec. */
export function containersOf(at: string, spec: PodSpec): [at: string, container: Container][] {
  return (['initContainers', 'containers', 'ephemeralContainers'] as const).flatMap((list) => ((spec[list] ?? []) as Container[]).map((c, i): [string, Container] => [`${at}.${list}[${i}]`, c]))
}
