/** Wires the ServiceAccount controller: observes by informer, acts by one create. */
import { NAMESPACES, SERVICE_ACCOUNTS, type Namespace, type ServiceAccount } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isNamespaceTerminating, isOrdinary, type ControllerFactory } from '../controller.ts'
import { decideServiceAccount, type ServiceAccountAction, type ServiceAccountView } from './decide.ts'

export const serviceAccountController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const namespaces = informers.of<Namespace>(NAMESPACES)
  const accounts = informers.of<ServiceAccount>(SERVICE_ACCOUNTS)

  const loop = createLoop<ServiceAccountView, ServiceAccountAction>({
    name: 'serviceaccount-controller',
    observe(name) {
      const namespace = namespaces.get(name)
      return namespace && { namespace, hasDefault: accounts.get(`${name}/default`) !== undefined }
    },
    decide: decideServiceAccount,
    effects: () => ({
      async createDefault({ namespace }, signal) {
        try {
          await client.create<ServiceAccount>(SERVICE_ACCOUNTS, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } }, { signal })
        } catch (error) {
          if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error
        }
      },
    }),
    isOrdinary,
  }, deps)

  namespaces.onChange((_, after) => { if (after) loop.queue.add(after.metadata.name) })
  accounts.onChange((before, after) => { if (!after && before?.metadata.name === 'default') loop.queue.add(before.metadata.namespace ?? '') })
  return { name: 'serviceaccount-controller', run: (signal) => loop.run(signal) }
}
