/** Wires the bootstrap signer. There is nothing to sign until somebody makes kube-public/cluster-info. */
import { CONFIG_MAPS, SECRETS, type ConfigMap, type Secret } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { BOOTSTRAP_TOKENS } from '../bootstrap-tokens.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { decideBootstrapSigner, type BootstrapSignerAction, type BootstrapSignerView } from './decide.ts'

const KEY = 'kube-public/cluster-info'

export const bootstrapSignerController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const tokens = informers.of<Secret>(SECRETS, BOOTSTRAP_TOKENS)
  const infos = informers.of<ConfigMap>(CONFIG_MAPS, { namespace: 'kube-public', fieldSelector: 'metadata.name=cluster-info' })
  const loop = createLoop<BootstrapSignerView, BootstrapSignerAction>({
    name: 'bootstrap-signer-controller',
    observe() {
      const info = infos.get(KEY)
      return info && { info, tokens: tokens.list() }
    },
    decide: decideBootstrapSigner,
    effects: ({ info }) => ({
      async write({ data }, signal) {
        await client.update<ConfigMap>(CONFIG_MAPS, { ...info, data }, { signal })
      },
    }),
    isOrdinary,
  }, deps)
  tokens.onChange(() => loop.queue.add(KEY))
  infos.onChange(() => loop.queue.add(KEY))
  return { name: 'bootstrap-signer-controller', run: (signal) => loop.run(signal) }
}
