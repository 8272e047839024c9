/** What one check of the Pod Security Standards finds, and the words all of them share. */
import type { Container, ObjectMeta, PodSpec } from '#api/types/index.ts'

export interface Finding {
  /** As short as can be; what namespaces are warned with. */
  reason: string
  /** Which containers, which values; '' when the reason says it all. */
  detail: string
}

/** Undefined: nothing to object to. */
export type CheckPod = (pod: { metadata: ObjectMeta | undefined; spec: PodSpec }) => Finding | undefined

export interface Check {
  /** Upstream's id: baseline checks run before restricted ones, each sorted by it. */
  id: string
  /** From which minor version of 1 on the check is which; ascending. */
  versions: readonly { since: number; check: CheckPod }[]
  /** Baseline checks that this one makes needless wherever it runs. */
  overrides?: string
}

/** Init containers first, then main, then ephemeral: the order in messages. */
export const allContainers = (spec: PodSpec): Container[] => [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...((spec.ephemeralContainers ?? []) as Container[])]

export const namesWhere = (spec: PodSpec, isBad: (container: Container) => boolean): string[] => allContainers(spec).filter(isBad).map((c) => c.name)

export const quoted = (items: readonly string[]): string => items.map((item) => `"${item}"`).join(', ')
export const sorted = (items: Iterable<string>): string[] => [...new Set(items)].sort()
export const plural = (count: number, one: string, many = `${one}s`): string => (count === 1 ? one : many)

/** `container "a"`, `containers "a", "b"`. */
export const named = (what: string, names: readonly string[]): string => `${plural(names.length, what)} ${quoted(names)}`

/** `pod and containers "a", "b"`: who set something wrong; '' when nobody did. */
export function setters(isPodBad: boolean, names: readonly string[]): string {
  return [...(isPodBad ? ['pod'] : []), ...(names.length > 0 ? [named('container', names)] : [])].join(' and ')
}

export const isWindows = (spec: PodSpec): boolean => spec.os?.name === 'windows'
/** KEP-127: root inside is nobody outside. */
export const hasUserNamespace = (spec: PodSpec): boolean => spec.hostUsers === false

/** Go's %q for what labels and annotations can hold. */
export const goQuoted = (text: string): string => JSON.stringify(text)
