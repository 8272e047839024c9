/** Wires the cleaner of old tokens: once a day it reads what there is, and keeps nothing. */
import { isReason } from '#api/client/client.ts'
import { CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, PODS, type ConfigMap, type Pod, type Secret, type ServiceAccount } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, unlessGone, type ControllerFactory } from '../controller.ts'
import { decideLegacyTokens, INVALID_SINCE_LABEL, type LegacyTokenAction, type LegacyTokenView } from './decide.ts'

const NAME = 'legacy-serviceaccount-token-cleaner-controller'
/** Where the API server writes since when it notes uses. */
const TRACKING = { name: 'kube-apiserver-legacy-service-account-token-tracking', namespace: 'kube-system' }
const EVERYTHING = 'all'

export const legacyTokenCleanerController: ControllerFactory = (deps) => {
  const { client } = deps
  const since = async (): Promise<string | undefined> => {
    try {
      return (await client.get<ConfigMap>(CONFIG_MAPS, TRACKING.name, TRACKING.namespace)).data?.['since']
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined
      throw error
    }
  }
  const loop = createLoop<LegacyTokenView, LegacyTokenAction>({
    name: NAME,
    async observe(_key, signal) {
      const { items: secrets } = await client.list<Secret>(SECRETS, { fieldSelector: 'type=kubernetes.io/service-account-token' }, signal)
      if (secrets.length === 0) return { secrets, accounts: [], pods: [], since: undefined }
      const [accounts, pods] = [await client.list<ServiceAccount>(SERVICE_ACCOUNTS, {}, signal), await client.list<Pod>(PODS, {}, signal)]
      return { secrets, accounts: accounts.items, pods: pods.items, since: await since() }
    },
    decide: decideLegacyTokens,
    effects: () => ({
      async markInvalid({ namespace, name, uid, since: day }, signal) {
        await unlessGone(client.patch(SECRETS, name, namespace, 'application/merge-patch+json', { metadata: { uid, labels: { [INVALID_SINCE_LABEL]: day } } }, { signal }))
      },
      remove: ({ namespace, name, resourceVersion }, signal) => unlessGone(client.delete(SECRETS, name, namespace, { preconditions: { resourceVersion }, signal })),
    }),
    isOrdinary,
  }, deps)
  return {
    name: NAME,
    run(signal) {
      loop.queue.add(EVERYTHING)
      return loop.run(signal)
    },
  }
}
