/** Wires the ServiceCIDR controller. */
import { IP_ADDRESSES, keyOf, SERVICE_CIDRS, type IPAddress, type ServiceCIDR } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { decideServiceCidr, FINALIZER, type ServiceCidrAction, type ServiceCidrView } from './decide.ts'
import { coverage } from '../service-networks.ts'

export const serviceCidrController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const cidrs = informers.of<ServiceCIDR>(SERVICE_CIDRS)
  const addresses = informers.of<IPAddress>(IP_ADDRESSES, { metadataOnly: true })
  const loop = createLoop<ServiceCidrView, ServiceCidrAction>({
    name: 'service-cidr-controller',
    observe(key) {
      const cidr = cidrs.get(key)
      if (!cidr) return undefined
      // Only a network that is going away has to know.
      if (cidr.metadata.deletionTimestamp === undefined) return { cidr, held: 0 }
      const own = coverage(cidr.spec?.cidrs ?? [])
      const others = coverage(cidrs.list().filter((o) => o !== cidr && o.metadata.deletionTimestamp === undefined).flatMap((o) => o.spec?.cidrs ?? []))
      return { cidr, held: addresses.list().filter((a) => own(a.metadata.name) && !others(a.metadata.name)).length }
    },
    decide: decideServiceCidr,
    effects: ({ cidr }) => {
      const finalizers = cidr.metadata.finalizers ?? []
      return {
        async addFinalizer(_, signal) { await client.update<ServiceCIDR>(SERVICE_CIDRS, { ...cidr, metadata: { ...cidr.metadata, finalizers: [...finalizers, FINALIZER] } }, { signal }) },
        async removeFinalizer(_, signal) { await client.update<ServiceCIDR>(SERVICE_CIDRS, { ...cidr, metadata: { ...cidr.metadata, finalizers: finalizers.filter((f) => f !== FINALIZER) } }, { signal }) },
        async writeCondition({ condition }, signal) {
          const lastTransitionTime = `${new Date(clock.nowMs()).toISOString().slice(0, 19)}Z`
          await client.patch(SERVICE_CIDRS, cidr.metadata.name, '', 'application/merge-patch+json', { status: { conditions: [{ ...condition, lastTransitionTime }] } }, { subresource: 'status', signal })
        },
      }
    },
    isOrdinary,
  }, deps)
  cidrs.onChange((before, after) => {
    const changed = after ?? before
    if (changed) loop.queue.add(keyOf(changed))
    // Another network may cover now what held one that is going away.
    for (const cidr of cidrs.list()) if (cidr.metadata.deletionTimestamp !== undefined) loop.queue.add(keyOf(cidr))
  })
  addresses.onChange((before, after) => {
    if (before && after) return
    for (const cidr of cidrs.list()) if (cidr.metadata.deletionTimestamp !== undefined) loop.queue.add(keyOf(cidr))
  })
  return { name: 'service-cidr-controller', run: (signal) => loop.run(signal) }
}
