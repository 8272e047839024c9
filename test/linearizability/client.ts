/** The API as the recorded clients use it: one request, one answer, nothing tried again; what is not told stays unknown. */
import { Agent, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'
import type { Content } from './history.ts'

export interface Credentials { ca: Buffer; cert: Buffer; key: Buffer }

/** `unreached`: it certainly did not happen. `unknown`: it may have, or may yet. */
export type Answer = { kind: 'answer'; status: number; body: unknown } | { kind: 'unreached' | 'unknown'; why: string }

export interface ConfigMap { metadata: { name: string; resourceVersion: string; labels?: Record<string, string> }; data?: Record<string, string> }

/** Of one client; a connection per server, which it keeps. */
export class RecordedClient {
  readonly #agents = new Map<string, Agent>()
  readonly #credentials: Credentials
  readonly #answerMsMax: number

  constructor(credentials: Credentials, answerMsMax: number) {
    this.#credentials = credentials
    this.#answerMsMax = answerMsMax
  }

  ask(server: string, method: string, path: string, body?: object, type = 'application/json'): Promise<Answer> {
    return new Promise((resolve) => {
      const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
      const req = request(`${server}${path}`, {
        method, agent: this.#agent(server), headers: { accept: 'application/json', ...(bytes && { 'content-type': type, 'content-length': bytes.length }) },
      }, (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () => { resolve(parseAnswer(res.statusCode ?? 0, Buffer.concat(chunks).toString())) })
        res.on('error', (error) => { resolve({ kind: 'unknown', why: error.message }) })
      })
      req.setTimeout(this.#answerMsMax, () => req.destroy(new Error(`no answer within ${this.#answerMsMax} ms`)))
      req.on('error', (error: NodeJS.ErrnoException) => { resolve({ kind: /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH)$/.test(error.code ?? '') ? 'unreached' : 'unknown', why: error.message }) })
      req.end(bytes)
    })
  }

  /** A stream of lines on a connection of its own; rejects where none begins. */
  open(server: string, path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const req = request(`${server}${path}`, { agent: new Agent({ keepAlive: false, servername: 'kubernetes', ...this.#credentials }), headers: { accept: 'application/json' } }, resolve)
      const timer = setTimeout(() => req.destroy(new Error('no answer to a watch')), this.#answerMsMax)
      req.on('response', () => clearTimeout(timer))
      req.on('error', reject)
      req.on('close', () => clearTimeout(timer))
      req.end()
    })
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy()
  }

  #agent(server: string): Agent {
    const agent = this.#agents.get(server) ?? new Agent({ keepAlive: true, maxSockets: 1, servername: 'kubernetes', ...this.#credentials })
    this.#agents.set(server, agent)
    return agent
  }
}

function parseAnswer(status: number, text: string): Answer {
  // 429: it was turned away before anything was done. What a server says of its own failure does not tell what happened.
  if (status === 429) return { kind: 'unreached', why: '429' }
  if (status >= 500) return { kind: 'unknown', why: `${status} ${text.slice(0, 200)}` }
  try {
    return { kind: 'answer', status, body: JSON.parse(text) }
  } catch {
    return { kind: 'unknown', why: `an answer cut off after ${text.length} bytes` }
  }
}

export function readCredentials(kubeconfig: string): Credentials {
  const { clusters, users } = load(readFileSync(kubeconfig, 'utf8')) as { clusters: { cluster: Record<string, string> }[]; users: { user: Record<string, string> }[] }
  const decode = (text = ''): Buffer => Buffer.from(text, 'base64')
  return { ca: decode(clusters[0]?.cluster['certificate-authority-data']), cert: decode(users[0]?.user['client-certificate-data']), key: decode(users[0]?.user['client-key-data']) }
}

export function contentOf(object: ConfigMap): Content {
  return Object.keys(object.data ?? {}).sort().join('+')
}
