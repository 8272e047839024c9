/** Requests that take their connection over: exec and its like, watches and logs as WebSockets, what other servers upgrade. */
import type { Duplex } from 'node:stream'
import type { Aggregation } from './aggregation/aggregation.ts'
import type { Authorizer } from './auth.ts'
import { askedFor, type Asked, type Caller, type Exchange, type PeerRequest } from './exchange.ts'
import { splitTarget } from './http/query.ts'
import { parseRequestInfo, type ResourceInfo } from './http/request-info.ts'
import { statusResponse } from './http/response.ts'
import { noSuchResource, type StatusError } from './http/status.ts'
import type { ApiMetrics } from './metrics/api-metrics.ts'
import { authorizeResource } from './middleware/authorize.ts'
import type { Identify } from './middleware/identify.ts'
import type { LoadGate } from './middleware/load-gate.ts'
import type { RefusalOf } from './middleware/refusal.ts'
import type { KubeletClient } from './nodes/kubelet-client.ts'
import { UPGRADES, upgradeCall, webSocketBearer } from './nodes/upgrade.ts'
import { isLongRunning } from './request-verb.ts'
import type { ResourceRequests } from './resource-requests.ts'
import type { Rows } from './rows.ts'
import type { WatchAnswer } from './watch/websocket.ts'

export interface UpgradeParts {
  rows: Rows
  metrics: ApiMetrics
  authorizer: Authorizer
  gate: LoadGate
  aggregation: Aggregation
  kubelet: KubeletClient
  resources: ResourceRequests
  identify: Identify
  refusalOf: RefusalOf
}

export interface UpgradeRequests {
  /** Whether an HTTP/1.1 upgrade request for this target is to be given to `serve`. */
  mayUpgrade(target: string, protocol?: string): boolean
  /** Takes the socket over: pipes it to the node, or answers with a refusal and closes. Never rejects. */
  serve(request: PeerRequest, exchange: Exchange, socket: Duplex, head: Buffer): Promise<void>
}

export function createUpgradeRequests({ rows, metrics, authorizer, gate, aggregation, kubelet, resources, identify, refusalOf }: UpgradeParts): UpgradeRequests {
  async function take(request: PeerRequest, exchange: Exchange, socket: Duplex, head: Buffer): Promise<void> {
    const info = parseRequestInfo(splitTarget(request.path).path)
    if (info?.kind !== 'resource') throw noSuchResource()
    const bearer = request.headers['authorization'] === undefined ? webSocketBearer(request.headers) : undefined
    const headers = bearer === undefined ? request.headers : { ...request.headers, authorization: `Bearer ${bearer}` }
    const caller: Caller = { request: { ...request, headers }, user: await identify({ ...request, headers }, exchange, info), exchange }
    if (!aggregation.isReady) await aggregation.ready
    const asked = askedFor(caller.request, info)
    const backend = aggregation.backendOf(info.group, info.version)
    if (backend) {
      await authorizeResource(authorizer, caller.user, asked.verb, asked.info, asked.selectors, exchange.trail?.authorized)
      noteUpgrade(exchange, socket)
      return aggregation.upgrade(backend, caller.request, caller.user, socket, head)
    }
    if ((asked.verb === 'watch' || info.subresource === 'log') && isWebSocket(headers['upgrade'])) return answerAsMessages(caller, info, asked, socket, head)
    const call = await resources.authorized(caller, info, asked)
    // KEP-4006: a WebSocket is a GET, but running something in a pod needs `create`, as it does with POST.
    if (call.verb === 'get' && info.subresource !== 'proxy') await authorizeResource(authorizer, caller.user, 'create', info)
    noteUpgrade(exchange, socket)
    await upgradeCall(call, socket, head, kubelet)
    metrics.requests.answered(call.row, { verb: 'CONNECT', subresource: info.subresource, scope: 'resource', dryRun: false, code: 101, seconds: undefined, bytes: undefined })
  }

  /** A watch or a log as messages. It takes its seat as any other while it begins. */
  async function answerAsMessages(caller: Caller, info: ResourceInfo, asked: Asked, socket: Duplex, head: Buffer): Promise<void> {
    const { request, user, exchange } = caller
    const gone = new AbortController()
    request.signal.addEventListener('abort', () => gone.abort(), { once: true })
    const entered = gate.enter({ user, verb: asked.verb, path: request.path, info: asked.info, query: asked.query, signal: request.signal }, exchange.answerHeaders)
    const leave = entered instanceof Promise ? await entered : entered
    try {
      const answer = await resources.run(await resources.authorized({ ...caller, request: { ...request, signal: gone.signal } }, info, asked))
      const { answerOverWebSocket } = await import('./http/websocket-answer.ts')
      const isWatch = asked.verb === 'watch'
      const messages = isWatch ? (await import('./watch/websocket.ts')).watchMessages(answer as WatchAnswer) : (await import('./nodes/log-messages.ts')).logMessages(answer.body as WatchAnswer['body'])
      noteUpgrade(exchange, socket)
      await answerOverWebSocket(request, socket, head, messages, () => gone.abort())
      metrics.requests.answered(rows.find(info.group, info.version, info.resource), { verb: isWatch ? 'WATCH' : 'GET', subresource: info.subresource, scope: isWatch ? '' : 'resource', dryRun: false, code: 101, seconds: undefined, bytes: undefined })
    } catch (error) {
      gone.abort()
      throw error
    } finally {
      leave()
    }
  }

  return {
    mayUpgrade(target, protocol) {
      const { path, query } = splitTarget(target)
      const info = parseRequestInfo(path)
      return info?.kind === 'resource' && (UPGRADES.has(info.subresource) || aggregation.backendOf(info.group, info.version) !== undefined || (isWebSocket(protocol) && isLongRunning(info, query)))
    },
    async serve(request, exchange, socket, head) {
      socket.on('error', () => socket.destroy())
      try {
        await take(request, exchange, socket, head)
      } catch (error) {
        const refusal = refusalOf(error, request, exchange)
        exchange.trail?.answered(statusResponse(refusal.body), request.signal)
        refuseUpgrade(socket, refusal)
      }
    },
  }
}

const isWebSocket = (protocol: string | undefined): boolean => protocol?.toLowerCase() === 'websocket'

/** From here on the connection belongs to the node, until one side ends it. */
function noteUpgrade({ trail }: Exchange, socket: Duplex): void {
  const upgraded = trail?.upgraded()
  if (upgraded) socket.once('close', () => upgraded.ended())
}

function refuseUpgrade(socket: Duplex, refusal: StatusError): void {
  const { status, headers, body } = statusResponse(refusal.body)
  const bytes = body as Buffer
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${status} ${refusal.body.reason || 'Error'}\r\n${lines}content-length: ${bytes.length}\r\nconnection: close\r\n\r\n`), bytes]))
}
