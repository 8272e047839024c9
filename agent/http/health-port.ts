/** Whether the agent answers at all, for whoever asks on the machine itself: a kubelet's port 10248, `/healthz` of k8s.io/apiserver without checks of its own. */
import type { Log } from '#base/log.ts'
import { createHealth } from './health.ts'
import { createWordsServer, serveWords, type Address } from './words-server.ts'

/** Until the signal aborts. An address that is taken is logged: the node works without. */
export function serveHealthPort(address: Address, log: Log, signal: AbortSignal): void {
  const health = createHealth(() => [], ['ping'])
  const server = createWordsServer(({ url = '/' }, response) => {
    const [path = '', query] = url.split('?')
    const [, first, below, ...rest] = path.split('/')
    const page = first === 'healthz' && rest.length === 0 ? health.page(below === '' ? undefined : below, new URLSearchParams(query)) : undefined
    response.writeHead(page?.status ?? 404, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }).end(page?.text ?? '404 page not found\n')
  })
  serveWords(server, address, (error) => log.warn('the health of this node cannot be served there: pass --healthz-port', { ...address, error }), signal)
}
