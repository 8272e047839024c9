/** A plain HTTP/1.1 client of the API with the admin's certificate, as small as the load it makes allows. */
import { Agent, request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:http2'
import { readFileSync } from 'node:fs'
import { load } from 'js-yaml'
import { usageOf } from '../process-usage.ts'

export interface Api {
  /** The answer parsed; throws for a status of 300 and more. */
  ask<T>(method: string, path: string, body?: object, type?: string): Promise<T>
  /** The answer's bytes counted as they come, not kept. `headers`: other than those that ask for plain JSON. */
  count(path: string, headers?: Readonly<Record<string, string>>): Promise<number>
  stream(path: string): Promise<IncomingMessage>
  close(): void
}

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[]
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[]
}

export function readKubeconfig(kubeconfig: string): { server: string; tls: { ca: Buffer; cert: Buffer; key: Buffer } } {
  const { clusters, users } = load(readFileSync(kubeconfig, 'utf8')) as Kubeconfig
  const cluster = clusters[0]?.cluster
  const user = users[0]?.user
  if (!cluster || !user) throw new Error(`${kubeconfig} names no cluster or no user`)
  const decode = (text: string): Buffer => Buffer.from(text, 'base64')
  return { server: cluster.server, tls: { ca: decode(cluster['certificate-authority-data']), cert: decode(user['client-certificate-data']), key: decode(user['client-key-data']) } }
}

/** Watches as clients in Go hold them: streams of HTTP/2, 100 a connection. Resolves when all have begun. They end with the process. */
export async function holdWatches(kubeconfig: string, path: string, count: number): Promise<void> {
  const { server, tls } = readKubeconfig(kubeconfig)
  for (let left = count; left > 0; left -= 100) {
    const session = connect(server, tls)
    await Promise.all(Array.from({ length: Math.min(left, 100) }, () => new Promise<void>((resolve, reject) => {
      const stream = session.request({ ':path': path })
      stream.on('response', ({ ':status': status }) => { if (status === 200) resolve(); else reject(new Error(`GET ${path}: ${status ?? 0}`)) })
      stream.on('error', reject)
      stream.resume()
    })))
  }
}

/** `server`: another one of the cluster than the kubeconfig names. */
export function openApi(kubeconfig: string, connectionsMax: number, server?: string): Api {
  const { server: first, tls } = readKubeconfig(kubeconfig)
  const { hostname, port } = new URL(server ?? first)
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax, ...tls })
  const streams = new Agent({ keepAlive: false, ...tls })

  const send = (method: string, path: string, how: { body?: object | undefined; type?: string | undefined; headers?: Readonly<Record<string, string>> | undefined; agent: Agent }): Promise<IncomingMessage> => new Promise((resolve, reject) => {
    const bytes = how.body === undefined ? undefined : Buffer.from(JSON.stringify(how.body))
    const req = request({
      agent: how.agent, hostname, port, method, path,
      headers: { accept: 'application/json', ...(bytes && { 'content-type': how.type ?? 'application/json', 'content-length': bytes.length }), ...how.headers },
    }, resolve)
    req.on('error', reject)
    req.end(bytes)
  })
  const read = (res: IncomingMessage, keep: boolean): Promise<{ bytes: number; text: string }> => new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    res.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (keep) chunks.push(chunk)
    })
    res.on('end', () => resolve({ bytes, text: Buffer.concat(chunks).toString() }))
    res.on('error', reject)
  })
  const refuse = (method: string, path: string, status: number | undefined, text: string): never => {
    throw new Error(`${method} ${path}: ${status ?? 0} ${text.slice(0, 300)}`)
  }

  return {
    async ask<T>(method: string, path: string, body?: object, type?: string): Promise<T> {
      const res = await send(method, path, { body, type, agent })
      const { text } = await read(res, true)
      if ((res.statusCode ?? 500) >= 300) refuse(method, path, res.statusCode, text)
      return JSON.parse(text) as T
    },
    async count(path, headers) {
      const res = await send('GET', path, { agent, headers })
      const { bytes } = await read(res, false)
      if ((res.statusCode ?? 500) >= 300) refuse('GET', path, res.statusCode, '')
      return bytes
    },
    async stream(path) {
      const res = await send('GET', path, { agent: streams })
      if ((res.statusCode ?? 500) >= 300) refuse('GET', path, res.statusCode, (await read(res, true)).text)
      return res
    },
    close() {
      agent.destroy()
      streams.destroy()
    },
  }
}

/** A whole stream. */
export async function text(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** What askInside passed. */
export function parseArguments<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T
}

export function answer(value: object): void {
  console.log(JSON.stringify(value))
}

export interface Rate { perSecond: number; /** Of the server, for each. */ cpuMs: number }

/** Runs `count` jobs, `inFlight` at a time. `pids`: the server's processes. */
export async function rateOf(pids: readonly number[], count: number, inFlight: number, job: (i: number) => Promise<unknown>): Promise<Rate> {
  let next = 0
  const before = usageOf(pids)
  const startMs = performance.now()
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (next < count) await job(next++)
  }))
  const perSecond = count / ((performance.now() - startMs) / 1000)
  return { perSecond, cpuMs: ((usageOf(pids).cpuSeconds - before.cpuSeconds) * 1000) / count }
}
