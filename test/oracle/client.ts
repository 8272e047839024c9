/** A client that takes whatever a server answers: codes, bodies, warnings. */
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { gunzipSync } from 'node:zlib'
import { load } from 'js-yaml'
import { readKubeconfig } from '../bench/inside/api.ts'
import type { Answer } from './exchange.ts'

export interface Client { ask(method: string, path: string, how?: { body?: string; type?: string; headers?: Record<string, string> }): Promise<Answer>; close(): void }

const ANSWER_MS_MAX = 40_000

export function openClient(kubeconfig: string, connections: number): Client {
  const { server, tls } = readKubeconfig(kubeconfig)
  const { hostname, port } = new URL(server)
  const agent = new Agent({ keepAlive: true, maxSockets: connections, ...tls })
  return {
    ask: (method, path, { body, type = 'application/json', headers } = {}) => new Promise((resolve, reject) => {
      const sent = body === undefined ? undefined : Buffer.from(body)
      const req = request({
        agent, hostname, port, method, path, timeout: ANSWER_MS_MAX,
        headers: { accept: 'application/json', 'user-agent': 'oracle/1', ...(sent && { 'content-type': type, 'content-length': sent.length }), ...headers },
      }, (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('error', reject)
        res.on('end', () => {
          const warnings = res.headers['warning'] as string | string[] | undefined
          const sentBack = Buffer.concat(chunks)
          const body = res.headers['content-encoding'] === 'gzip' && sentBack.length > 0 ? gunzipSync(sentBack) : sentBack
          resolve({ status: res.statusCode ?? 0, body: parsed(body.toString(), path, res.headers['content-type'] === 'application/yaml'), warnings: warnings === undefined ? [] : [warnings].flat(), headers: compared(res.headers) })
        })
      })
      req.on('timeout', () => {
        // An answer of its own kind: the other server's is another one, or it has none either.
        resolve({ status: 0, body: `no answer within ${ANSWER_MS_MAX / 1000} s`, warnings: [], headers: {} })
        req.destroy()
      })
      req.on('error', reject)
      req.end(sent)
    }),
    close: () => agent.destroy(),
  }
}

const COMPARED = ['content-type', 'content-encoding', 'vary', 'cache-control', 'retry-after', 'www-authenticate', 'allow', 'location']
/** Of these only whether they are there is compared. */
const THERE = ['audit-id', 'x-kubernetes-pf-flowschema-uid', 'x-kubernetes-pf-prioritylevel-uid']

function compared(headers: IncomingHttpHeaders): Record<string, string> {
  const pairs = [...COMPARED.map((name) => [name, headers[name]]), ...THERE.map((name) => [name, headers[name] === undefined ? undefined : 'there'])]
  return Object.fromEntries(pairs.filter(([, value]) => value !== undefined)) as Record<string, string>
}

/** A watch answers with a list of its events. */
const isWatch = (path: string): boolean => /[?&]watch=(?!false|0)/.test(path)

/** How YAML is quoted and folded says nothing. */
function parsed(text: string, path: string, isYaml: boolean): unknown {
  try {
    if (isYaml) return load(text)
    return isWatch(path) && text.includes('"object":') ? text.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown) : JSON.parse(text)
  } catch {
    return text
  }
}
