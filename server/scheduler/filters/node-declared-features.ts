/** Pods that need a feature go only to nodes that declare it (KEP-5328). */
import type { PodSpec } from '#api/types/index.ts'
import { mayRestartAll } from '#api/types/pods.ts'
import { FITS, type FilterRule } from '../rule.ts'

/** By the feature's name, as nodes declare it: whether a pod needs it from its start. What only a change of a pod needs, admission looks at. */
const NEEDED: Readonly<Record<string, (spec: PodSpec) => boolean>> = {
  RestartAllContainersOnContainerExits: mayRestartAll,
  UserNamespacesHostNetworkSupport: (spec) => spec.hostNetwork === true && spec.hostUsers === false,
}

export const nodeDeclaredFeatures: FilterRule = {
  name: 'NodeDeclaredFeatures',
  prepare({ pod }) {
    const needed = Object.keys(NEEDED).filter((name) => pod.spec && NEEDED[name]?.(pod.spec))
    if (needed.length === 0) return undefined
    return ({ node }) => {
      const declared = node.status?.declaredFeatures ?? []
      return needed.every((name) => declared.includes(name)) ? FITS : [{ reason: "node(s) didn't match Pod's required features", unresolvable: true }]
    }
  },
}
