/** Requests must fit into what is allocatable and not yet asked for; one reason for each resource that is short. */
import { classFor } from '../dynamic-resources/extended-resources.ts'
import type { Amounts, NodeInfo } from '../node-info.ts'
import { FITS, type FilterRule, type Unfit } from '../rule.ts'

export const nodeResourcesFit: FilterRule = {
  name: 'NodeResourcesFit',
  prepare: ({ requests }, { devices }) => {
    // Where the node has none, devices are found for it (dynamic-resources.ts).
    const ofClasses = new Set(devices && Object.keys(requests.scalars).filter((name) => classFor(name, devices)))
    return ({ allocatable, requested, pods }) => shortOf(requests, allocatable, requested, pods.length, ofClasses)
  },
}

function shortOf(requests: Amounts, allocatable: NodeInfo['allocatable'], requested: Amounts, pods: number, ofClasses: ReadonlySet<string>): readonly Unfit[] {
  const short: Unfit[] = []
  const check = (resource: string, asked: number, total: number, used: number) => {
    if (asked > 0 && asked > total - used) short.push({ reason: `Insufficient ${resource}`, unresolvable: asked > total })
  }
  if (pods + 1 > allocatable.pods) short.push({ reason: 'Too many pods' })
  check('cpu', requests.cpuMilli, allocatable.cpuMilli, requested.cpuMilli)
  check('memory', requests.memoryBytes, allocatable.memoryBytes, requested.memoryBytes)
  check('ephemeral-storage', requests.ephemeralBytes, allocatable.ephemeralBytes, requested.ephemeralBytes)
  for (const [name, asked] of Object.entries(requests.scalars)) if ((allocatable.scalars[name] ?? 0) > 0 || !ofClasses.has(name)) check(name, asked, allocatable.scalars[name] ?? 0, requested.scalars[name] ?? 0)
  return short.length === 0 ? FITS : short
}
