/** Requests must fit into what is allocatable and not yet asked for; one reason for each resource that is short. */
import { FITS, type FilterRule, type Unfit } from '../rule.ts'

export const nodeResourcesFit: FilterRule = {
  name: 'NodeResourcesFit',
  prepare: ({ requests }) => ({ allocatable, requested, pods }) => {
    const short: Unfit[] = []
    const check = (resource: string, asked: number, total: number, used: number) => {
      if (asked > 0 && asked > total - used) short.push({ reason: `Insufficient ${resource}`, unresolvable: asked > total })
    }
    if (pods.length + 1 > allocatable.pods) short.push({ reason: 'Too many pods' })
    check('cpu', requests.cpuMilli, allocatable.cpuMilli, requested.cpuMilli)
    check('memory', requests.memoryBytes, allocatable.memoryBytes, requested.memoryBytes)
    check('ephemeral-storage', requests.ephemeralBytes, allocatable.ephemeralBytes, requested.ephemeralBytes)
    for (const [name, asked] of Object.entries(requests.scalars)) check(name, asked, allocatable.scalars[name] ?? 0, requested.scalars[name] ?? 0)
    return short.length === 0 ? FITS : short
  },
}
