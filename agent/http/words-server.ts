/** Servers of a few words to whoever asks: whether something is well. */
import { createServer, type RequestListener, type Server } from 'node:http'
import { asError } from '#base/errors.ts'

export interface Address { readonly host: string; readonly port: number }

/** No more than who asks for health needs: short questions. */
const REQUEST_MS_MAX = 5_000
const CONNECTIONS_MAX = 64

/** Not listening yet. */
export function createWordsServer(answer: RequestListener): Server {
  const server = createServer({ requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX }, (request, response) => {
    request.resume()
    answer(request, response)
  })
  server.maxConnections = CONNECTIONS_MAX
  return server
}

/** Until the signal aborts. `onError`: the address is taken, or whatever else keeps it from being served. */
export function serveWords(server: Server, { host, port }: Address, onError: (error: Error) => void, signal: AbortSignal): void {
  server.on('error', (error) => onError(asError(error)))
  server.listen(port, host)
  signal.addEventListener('abort', () => {
    server.close()
    server.closeAllConnections()
  }, { once: true })
}
