/** A connection to 127.0.0.1:port as a process of the sandbox would make it. No helper process. */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { CodedError } from '#base/errors.ts'
import { tcpSocketIn } from './native.ts'

/** `netnsPath` undefined: the host's network. */
export function connectInSandbox(sandboxId: string, netnsPath: string | undefined, port: number): Promise<Duplex> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return Promise.reject(new CodedError('CRI_INVALID', `port ${port} is out of range`))
  const socket = netnsPath === undefined ? new Socket() : tcpSocketIn(netnsPath)
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => {
      const words = /ECONNREFUSED/.test(error.message) ? 'connection refused' : error.message
      reject(new CodedError('CRI_FAILED', `failed to connect to localhost:${port} inside namespace "${sandboxId}", IPv4: dial tcp4 127.0.0.1:${port}: connect: ${words}`, { cause: error }))
    }
    socket.once('error', onError)
    socket.connect({ port, host: '127.0.0.1' }, () => {
      socket.off('error', onError)
      socket.setNoDelay(true)
      resolve(socket)
    })
  })
}
