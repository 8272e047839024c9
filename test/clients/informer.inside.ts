/** An informer of @kubernetes/client-node over a restart of the server: run by client-node.clients.ts, with KUBECONFIG. Says RESTART when that may come, then what it was told. */
import { once } from 'node:events'
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node'

const config = new KubeConfig()
config.loadFromDefault()
const core = config.makeApiClient(CoreV1Api)
const labelSelector = 'informed=yes'
const made = (name: string) => core.createNamespacedConfigMap({ namespace: 'default', body: { metadata: { name, labels: { informed: 'yes' } } } })

const told: string[] = []
const informer = makeInformer(config, '/api/v1/namespaces/default/configmaps', () => core.listNamespacedConfigMap({ namespace: 'default', labelSelector }), labelSelector)
const gone = Promise.withResolvers<undefined>()
for (const verb of ['add', 'delete'] as const) {
  informer.on(verb, ({ metadata }) => {
    told.push(`${verb} ${metadata?.name}`)
    if (told.includes('add late') && told.includes('delete early')) gone.resolve(undefined)
  })
}
// As its documentation tells: what is told as an error is started again.
informer.on('error', () => { setTimeout(() => void informer.start().catch(() => undefined), 200) })
await informer.start()
await made('early')
console.log('RESTART')
await once(process.stdin, 'data')
await made('late')
await core.deleteNamespacedConfigMap({ name: 'early', namespace: 'default' })
await gone.promise
console.log(`TOLD ${told.toSorted().join(', ')}; HAS ${informer.list('default').map((o) => o.metadata?.name).join(', ')}`)
process.exit(0)
