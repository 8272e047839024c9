/** Wires the root CA publisher. Its informer sees only the ConfigMaps of that one name. */
import { CONFIG_MAPS, NAMESPACES, type ConfigMap, type Namespace } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isNamespaceTerminating, isOrdinary, type ControllerFactory } from '../controller.ts'
import { decideRootCa, ROOT_CA_NAME, type RootCaAction, type RootCaView } from './decide.ts'

export const rootCaController: ControllerFactory = (deps) => {
  const { client, informers, config } = deps
  const namespaces = informers.of<Namespace>(NAMESPACES)
  const configMaps = informers.of<ConfigMap>(CONFIG_MAPS, { fieldSelector: `metadata.name=${ROOT_CA_NAME}` })

  const loop = createLoop<RootCaView, RootCaAction>({
    name: 'root-ca-certificate-publisher',
    observe(name) {
      const namespace = namespaces.get(name)
      return namespace && { namespace, configMap: configMaps.get(`${name}/${ROOT_CA_NAME}`), rootCaPem: config.rootCaPem }
    },
    decide: decideRootCa,
    effects: () => ({
      async create({ configMap }, signal) {
        try {
          await client.create<ConfigMap>(CONFIG_MAPS, configMap, { signal })
        } catch (error) {
          if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error
        }
      },
      async update({ configMap }, signal) {
        await client.update<ConfigMap>(CONFIG_MAPS, configMap, { signal })
      },
    }),
    isOrdinary,
  }, deps)

  namespaces.onChange((_, after) => { if (after) loop.queue.add(after.metadata.name) })
  configMaps.onChange((before, after) => {
    const changed = after ?? before
    if (changed) loop.queue.add(changed.metadata.namespace ?? '')
  })
  return { name: 'root-ca-certificate-publisher', run: (signal) => loop.run(signal) }
}
