/**
 * What the network tests run inside pods and on hosts, as a program of its own: `serve PORT [ADDRESS]` answers HTTP and echoes UDP,
 * `ask AT_ONCE [ROADS]` reads roads to try (JSON, argument or stdin) and tells what came of each (JSON, stdout). Knows nothing of Kubernetes.
 */
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { createServer, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { text } from 'node:stream/consumers'

export type Road =
  /** The answer's body; over https without a look at the certificate. */
  | { http: string }
  /** `sha256` of a body of so many bytes, sent and echoed. */
  | { post: string; bytes: number }
  /** A datagram of so many bytes and back. */
  | { udp: string; bytes: number }
  | { lookUp: string; type: 'A' | 'SRV' | 'PTR'; server: string }

export interface Outcome { got?: string; failed?: string; ms: number }

const ATTEMPT_MS = 5_000

/** A GET answers with whom it saw. Without an address UDP answers of a host with several come from the one nearest to the client. */
function serve(port: number, address = '0.0.0.0'): void {
  createServer((req, res) => {
    if (req.method === 'POST') req.pipe(res)
    else res.end(`${(req.socket.remoteAddress ?? '').replace('::ffff:', '')}\n`)
  }).listen(port, address)
  const udp = createSocket('udp4')
  udp.on('message', (message, from) => { udp.send(message, from.port, from.address) })
  udp.bind(port, address, () => { console.log('serving') })
}

function fill(bytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + (i >> 8)) & 255))
}

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')

function overHttp(url: string, body: Buffer | undefined, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? requestTls : requestPlain
    const req = request(url, { method: body ? 'POST' : 'GET', agent: false, signal, rejectUnauthorized: false }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => { chunks.push(chunk) })
      res.on('error', reject)
      res.on('end', () => {
        if (res.statusCode === 200) resolve(Buffer.concat(chunks))
        else reject(new Error(`status ${res.statusCode ?? 0}`))
      })
    })
    req.on('error', reject)
    req.end(body)
  })
}

function overUdp(to: string, bytes: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const [host = '', port] = to.split(':')
    const socket = createSocket('udp4')
    const sent = fill(bytes)
    let isSettled = false
    const settle = (error?: Error) => {
      if (isSettled) return
      isSettled = true
      socket.close()
      if (error) reject(error)
      else resolve('echoed')
    }
    signal.addEventListener('abort', () => settle(new Error('no echo')), { once: true })
    socket.on('error', settle)
    // Connected: an echo from any other address than the one asked is not heard.
    socket.connect(Number(port), host, () => { socket.send(sent) })
    socket.on('message', (message) => settle(message.equals(sent) ? undefined : new Error('another datagram came back')))
  })
}

async function lookUp(road: Extract<Road, { lookUp: string }>): Promise<string> {
  const resolver = new Resolver({ timeout: ATTEMPT_MS, tries: 1 })
  resolver.setServers([road.server])
  if (road.type === 'SRV') return (await resolver.resolveSrv(road.lookUp)).map((r) => `${r.priority} ${r.weight} ${r.port} ${r.name}`).toSorted().join('\n')
  return (road.type === 'A' ? await resolver.resolve4(road.lookUp) : await resolver.reverse(road.lookUp)).toSorted().join('\n')
}

async function go(road: Road): Promise<string> {
  const signal = AbortSignal.timeout(ATTEMPT_MS)
  if ('http' in road) return (await overHttp(road.http, undefined, signal)).toString().trim()
  if ('post' in road) return sha256(await overHttp(road.post, fill(road.bytes), signal)) === sha256(fill(road.bytes)) ? 'echoed' : 'another body came back'
  return 'udp' in road ? overUdp(road.udp, road.bytes, signal) : lookUp(road)
}

async function ask(roads: readonly Road[], atOnce: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const queue = roads.entries()
  const work = async () => {
    for (const [i, road] of queue) {
      const startedMs = performance.now()
      const outcome = await go(road).then((got) => ({ got }), (error: Error & { code?: string }) => ({ failed: error.code ?? error.message }))
      outcomes[i] = { ...outcome, ms: Math.round((performance.now() - startedMs) * 100) / 100 }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, roads.length) }, work))
  return outcomes
}

if (import.meta.main) {
  if (process.argv[2] === 'serve') serve(Number(process.argv[3]), process.argv[4])
  else console.log(JSON.stringify(await ask(JSON.parse(process.argv[4] ?? await text(process.stdin)) as Road[], Number(process.argv[3]))))
}
