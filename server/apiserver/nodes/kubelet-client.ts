/** HTTP to a node's kubelet over whatever the connector gives: one stream per request, no pool (a stream on the tunnel costs nothing). */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import type { Duplex } from 'node:stream'
import { asError, hasCode } from '#base/errors.ts'
import { badGateway, unavailable } from '../http/status.ts'
import { KUBELET, type NodeConnector } from './connector.ts'

export interface KubeletRequest {
  node: string
  /** As for NodeConnector; default: the kubelet. */
  authority?: string
  /** The target speaks TLS; its certificate is not verified, as upstream's proxy does not. */
  tls?: boolean
  method: string
  /** With query. */
  path: string
  headers: Readonly<Record<string, string>>
  /** The Host header; default: the authority, or the node. */
  host?: string
  body?: Buffer | undefined
  signal: AbortSignal
}

export interface KubeletClient {
  /** Resolves with the head of the answer. Throws 502 or 503 that names the node. */
  request(request: KubeletRequest): Promise<IncomingMessage>
  /** The bare stream, for upgrades. */
  connect(node: string, authority?: string, tls?: boolean): Promise<Duplex>
}

export function createKubeletClient(connector: NodeConnector | undefined): KubeletClient {
  const dial = async (node: string, authority: string): Promise<Duplex> => {
    if (!connector) throw unavailable(`no connection to node ${JSON.stringify(node)}: this server has no way to reach nodes`)
    try {
      return await connector.connect(node, authority)
    } catch (error) {
      throw hasCode(error, 'NODE_NOT_CONNECTED')
        ? unavailable(`no connection to node ${JSON.stringify(node)}: its agent is not connected to this server; check that skiff agent runs there and reaches the API port`)
        : badGateway(`error trying to reach node ${JSON.stringify(node)}: ${asError(error).message}`)
    }
  }
  const connect = async (node: string, authority = KUBELET, tls = false): Promise<Duplex> => {
    const socket = await dial(node, authority)
    return tls ? overTls(socket) : socket
  }
  return {
    connect,
    async request(request) {
      const [{ request: httpRequest }, socket] = await Promise.all([import('node:http'), connect(request.node, request.authority, request.tls)])
      return new Promise((resolve, reject) => {
        const options: RequestOptions = {
          method: request.method, path: request.path, host: 'kubelet', signal: request.signal,
          headers: { ...request.headers, host: request.host ?? request.authority ?? request.node, connection: 'close', ...(request.body && { 'content-length': String(request.body.length) }) },
          createConnection: () => socket,
        }
        const outgoing: ClientRequest = httpRequest(options, resolve)
        outgoing.on('error', (error) => {
          socket.destroy()
          reject(badGateway(`error dialing backend: node ${JSON.stringify(request.node)}: ${error.message}`))
        })
        outgoing.end(request.body)
      })
    },
  }
}

async function overTls(socket: Duplex): Promise<Duplex> {
  const { connect } = await import('node:tls')
  return new Promise((resolve, reject) => {
    const secure = connect({ socket, rejectUnauthorized: false }, () => resolve(secure))
    secure.once('error', (error) => reject(badGateway(`error trying to reach service: ${error.message}`)))
  })
}
