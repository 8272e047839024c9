/** Ports and questions for tests of what a node serves over HTTP. Only tests import this. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

/** One that nobody listened on a moment ago, on any address. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** The answer of this machine's port, as soon as it is listened on; within a minute. */
export async function ask(port: number, path: string): Promise<{ status: number; headers: Headers; text: string }> {
  for (const giveUp = AbortSignal.timeout(60_000); ;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return { status: response.status, headers: response.headers, text: await response.text() }
    } catch (error) {
      if (giveUp.aborted) throw error
    }
  }
}
