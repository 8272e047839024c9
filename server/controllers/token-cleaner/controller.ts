/** Wires the token cleaner: each bootstrap token is looked at when it changes and when it expires. */
import { keyOf, SECRETS, type Secret, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { BOOTSTRAP_TOKENS } from '../bootstrap-tokens.ts'
import { isOrdinary, unlessGone, type ControllerFactory } from '../controller.ts'
import { decideTokenCleaner, type TokenCleanerAction } from './decide.ts'

export const tokenCleanerController: ControllerFactory = (deps) => {
  const tokens = deps.informers.of<Secret>(SECRETS, BOOTSTRAP_TOKENS)
  const loop = createLoop<Stored<Secret>, TokenCleanerAction>({
    name: 'token-cleaner-controller',
    observe: (key) => tokens.get(key),
    decide: decideTokenCleaner,
    effects: () => ({ remove: ({ name, uid }, signal) => unlessGone(deps.client.delete(SECRETS, name, BOOTSTRAP_TOKENS.namespace, { preconditions: { uid }, signal })) }),
    isOrdinary,
  }, deps)
  tokens.onChange((_, after) => { if (after) loop.queue.add(keyOf(after)) })
  return { name: 'token-cleaner-controller', run: (signal) => loop.run(signal) }
}
