/** Wires the tokens controller. Tokens are signed by who holds the keys. */
import { keyOf, SECRETS, SERVICE_ACCOUNTS, type Secret, type ServiceAccount } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, unlessGone, type ControllerFactory } from '../controller.ts'
import { ACCOUNT_NAME, ACCOUNT_UID, decideTokenSecret, TOKEN_SECRET_TYPE, type TokenSecretAction, type TokenSecretView } from './decide.ts'

export interface TokenOwner { namespace: string; serviceAccount: string; uid: string; secret: string }

export function serviceAccountTokenController(sign: (owner: TokenOwner) => string): ControllerFactory {
  return ({ client, informers, config, ...deps }) => {
    const secrets = informers.of<Secret>(SECRETS, { fieldSelector: `type=${TOKEN_SECRET_TYPE}` })
    const accounts = informers.of<ServiceAccount>(SERVICE_ACCOUNTS)
    const loop = createLoop<TokenSecretView, TokenSecretAction>({
      name: 'serviceaccount-token-controller',
      observe(key) {
        const secret = secrets.get(key)
        return secret && { secret, account: accounts.get(`${secret.metadata.namespace ?? ''}/${secret.metadata.annotations?.[ACCOUNT_NAME] ?? ''}`), rootCaPem: config.rootCaPem }
      },
      decide: decideTokenSecret,
      effects: ({ secret }) => ({
        async fill({ uid, data, needsToken }, signal) {
          const { name, namespace = '', annotations = {} } = secret.metadata
          const token = needsToken ? sign({ namespace, serviceAccount: annotations[ACCOUNT_NAME] ?? '', uid, secret: name }) : undefined
          await client.update<Secret>(SECRETS, {
            ...secret, metadata: { ...secret.metadata, annotations: { ...annotations, [ACCOUNT_UID]: uid } },
            data: { ...secret.data, ...data, ...(token !== undefined && { token: Buffer.from(token).toString('base64') }) },
          }, { signal })
        },
        delete: (_, signal) => unlessGone(client.delete(SECRETS, secret.metadata.name, secret.metadata.namespace, { preconditions: { uid: secret.metadata.uid, resourceVersion: secret.metadata.resourceVersion }, signal })),
      }),
      isOrdinary,
    }, deps)
    secrets.onChange((_, after) => { if (after) loop.queue.add(keyOf(after)) })
    // An account that comes or goes decides over the secrets that name it.
    accounts.onChange((before, after) => {
      if (before && after && before.metadata.uid === after.metadata.uid) return
      const changed = after ?? before
      for (const secret of secrets.list()) if (secret.metadata.namespace === changed?.metadata.namespace && secret.metadata.annotations?.[ACCOUNT_NAME] === changed?.metadata.name) loop.queue.add(keyOf(secret))
    })
    return { name: 'serviceaccount-token-controller', run: (signal) => loop.run(signal) }
  }
}
