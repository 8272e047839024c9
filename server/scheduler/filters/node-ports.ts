/** Host ports that are taken. */
import { hostPortsConflict } from '#api/types/pods.ts'
import { FITS, type FilterRule } from '../rule.ts'

const UNFIT = [{ reason: "node(s) didn't have free ports for the requested pod ports" }]

export const nodePorts: FilterRule = {
  name: 'NodePorts',
  prepare: ({ hostPorts }) => {
    if (hostPorts.length === 0) return undefined
    return (node) => (node.pods.some((other) => other.hostPorts.some((taken) => hostPorts.some((wanted) => hostPortsConflict(taken, wanted)))) ? UNFIT : FITS)
  },
}
