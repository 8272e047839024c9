/** Which devices a pod's containers are to have: who asks for how many, what may be used again, what is free. Pure; upstream's pkg/kubelet/cm/devicemanager. */
import { quantityValue } from '#api/types/quantity.ts'
import type { Container, Pod } from '#api/types/index.ts'
import type { Device } from './source.ts'

/** By container, then resource: ids of devices. */
export type PodDevices = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

export interface Wish {
  container: string
  resource: string
  count: number
  /** Those of init containers that have ended by then may be used again. */
  reuses: readonly string[]
}

/** In the order in which the containers run. `manages`: a resource that is made of devices here. */
export function wishesOf(pod: Pod, manages: (resource: string) => boolean): Wish[] {
  const wishes: Wish[] = []
  const ended: string[] = []
  for (const container of pod.spec?.initContainers ?? []) {
    wishes.push(...wishesOfContainer(container, ended, manages))
    if (container.restartPolicy !== 'Always') ended.push(container.name)
  }
  for (const container of pod.spec?.containers ?? []) wishes.push(...wishesOfContainer(container, ended, manages))
  return wishes
}

function wishesOfContainer({ name, resources }: Container, ended: readonly string[], manages: (resource: string) => boolean): Wish[] {
  return Object.entries(resources?.limits ?? {}).flatMap(([resource, amount]) => {
    const count = quantityValue(amount)
    return count > 0 && manages(resource) ? [{ container: name, resource, count, reuses: [...ended] }] : []
  })
}

/**
 * What init containers of this pod have left, as far as nobody else of it has taken it again: sidecars and app containers keep theirs, and the
 * next init container's are its own while it runs.
 */
export function reusable({ resource, reuses }: Wish, given: PodDevices): string[] {
  const kept = new Set(Object.entries(given).filter(([container]) => !reuses.includes(container)).flatMap(([, of]) => of[resource] ?? []))
  return [...new Set(reuses.flatMap((container) => given[container]?.[resource] ?? []))].filter((id) => !kept.has(id)).toSorted()
}

export type Choice = { ok: true; must: string[]; available: string[] } | { ok: false; message: string }

/** `taken`: by other pods, and by others of this one. */
export function choose(wish: Wish, { devices, taken, reuse }: { devices: readonly Device[]; taken: ReadonlySet<string>; reuse: readonly string[] }): Choice {
  const healthy = new Set(devices.filter((d) => d.healthy).map((d) => d.id))
  // By upstream's words people find out that it is the plugin they have to look at.
  if (healthy.size === 0) return { ok: false, message: `no healthy devices present; cannot allocate unhealthy devices ${wish.resource}` }
  const again = reuse.filter((id) => healthy.has(id)).slice(0, wish.count)
  const free = [...healthy].filter((id) => !taken.has(id) && !reuse.includes(id)).toSorted()
  const needed = wish.count - again.length
  if (free.length < needed) return { ok: false, message: `requested number of devices unavailable for ${wish.resource}. Requested: ${needed}, Available: ${free.length}` }
  return { ok: true, must: again, available: [...again, ...free] }
}

/** What must be, what the plugin would rather, then what comes first; never more than asked, never what is not free. */
export function settle(wish: Wish, { must, available }: { must: readonly string[]; available: readonly string[] }, preferred: readonly string[]): string[] {
  const allowed = new Set(available)
  return [...new Set([...must, ...preferred.filter((id) => allowed.has(id)), ...available])].slice(0, wish.count)
}
