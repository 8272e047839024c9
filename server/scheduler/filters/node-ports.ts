/** Host ports that are taken; 0.0.0.0 conflicts with every address. */
import type { HostPort } from '../node-info.ts'
import { FITS, type FilterRule } from '../rule.ts'

const UNFIT = [{ reason: "node(s) didn't have free ports for the requested pod ports" }]

const conflict = (a: HostPort, b: HostPort): boolean => a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0')

export const nodePorts: FilterRule = {
  name: 'NodePorts',
  prepare: ({ hostPorts }) => {
    if (hostPorts.length === 0) return undefined
    return (node) => (node.pods.some((other) => other.hostPorts.some((taken) => hostPorts.some((wanted) => conflict(taken, wanted)))) ? UNFIT : FITS)
  },
}
