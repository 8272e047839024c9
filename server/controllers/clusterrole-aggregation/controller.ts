/** Wires the ClusterRole aggregation controller. */
import { CLUSTER_ROLES, keyOf, type ClusterRole } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { decideAggregation, type AggregationAction, type AggregationView } from './decide.ts'

export const clusterRoleAggregationController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const roles = informers.of<ClusterRole>(CLUSTER_ROLES)
  const loop = createLoop<AggregationView, AggregationAction>({
    name: 'clusterrole-aggregation-controller',
    observe(key) {
      const role = roles.get(key)
      return role && { role, all: roles.list() }
    },
    decide: decideAggregation,
    effects: ({ role }) => ({
      async writeRules({ rules }, signal) {
        await client.update<ClusterRole>(CLUSTER_ROLES, { ...role, rules }, { signal })
      },
    }),
    isOrdinary,
  }, deps)
  // Any role may be part of any aggregated one; there are a handful of those, and looking is cheap.
  roles.onChange(() => {
    for (const role of roles.list()) if (role.aggregationRule) loop.queue.add(keyOf(role))
  })
  return { name: 'clusterrole-aggregation-controller', run: (signal) => loop.run(signal) }
}
