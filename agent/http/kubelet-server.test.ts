import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { PassThrough, type Duplex, type Readable } from 'node:stream'
import { afterEach, describe, it } from 'node:test'
import { WebSocket } from 'ws'
import { systemClock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createKubeletHandlers, createKubeletServer } from './kubelet-server.ts'
import type { IoSession, TerminalSize } from '#cri/index.ts'
import type { NodeFigures, PodStreams } from '../kubelet/streams.ts'
import { SpdySession, type SpdyStream } from '#cri/streaming/spdy/session.ts'
import { webSocketDuplex } from '#cri/streaming/websocket-tunnel.ts'

/** A container whose command echoes its input in upper case on stdout, says "done" on stderr, and exits with 3. */
class Echo implements IoSession {
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  readonly sizes: TerminalSize[] = []
  readonly done: Promise<number>
  closed = false
  constructor() {
    this.done = new Promise((resolve) => {
      this.stdin.on('data', (c: Buffer) => this.stdout.write(c.toString().toUpperCase()))
      this.stdin.on('end', () => { this.stdout.end(); this.stderr.end('done'); resolve(3) })
    })
  }
  resize(size: TerminalSize): void { this.sizes.push(size) }
  close(): void { this.closed = true; this.stdout.end(); this.stderr.end() }
}

const servers: { close(): void }[] = []
afterEach(() => { for (const s of servers.splice(0)) s.close() })

/** Checks that fail. */
const ills: string[] = []
const figures: NodeFigures = { summary: async (onlyCpuAndMemory) => ({ onlyCpuAndMemory }), metrics: async (page) => `${page}_up 1\n`, configz: () => ({ kubeletconfig: {} }), health: () => ills.map((name) => ({ name, problem: 'it is ill' })) }

async function listening(streams: Partial<PodStreams>, systemLogDir = '/nonexistent'): Promise<number> {
  const fail = () => { throw new Error('not expected') }
  const server: Server = createKubeletServer(createKubeletHandlers({ streams: { pod: fail, pods: () => [], containerIdFor: async () => 'id', readLogs: fail, exec: fail, attach: fail, portForward: fail, runningContainer: async () => 'id', runningSandbox: async () => 'sandbox', runningPods: async () => [], ...streams }, figures, systemLogDir, about: { flags: { 'node-name': 'n1', token: 'CLASSIFIED' }, version: 'v1.36.0+skiff', startTimeSeconds: 1_000_000_000, random: seededRandom(1) }, clock: systemClock, log: silentLog }))
  servers.push({ close: () => { server.close(); server.closeAllConnections() } })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

function call(port: number, method: string, path: string): Promise<{ status: number | undefined; type: string | undefined; body: string }> {
  return new Promise((resolve) => {
    httpRequest({ port, path, method }, (response) => { void text(response).then((body) => resolve({ status: response.statusCode, type: response.headers['content-type'], body })) }).end()
  })
}

function get(port: number, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    httpRequest({ port, path }, (response) => {
      let body = ''
      response.on('data', (c: Buffer) => { body += c.toString() }).on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    }).on('error', reject).end()
  })
}

/** Channel messages in the order they came, as `channel: text`, and the close code. */
function listen(socket: WebSocket): Promise<{ messages: string[]; code: number }> {
  const messages: string[] = []
  return new Promise((resolve, reject) => {
    socket.on('message', (data: Buffer) => { if (data.length > 1) messages.push(`${data[0]}: ${data.toString('utf8', 1)}`) })
    socket.on('close', (code) => resolve({ messages, code }))
    socket.on('error', reject)
  })
}

const FAILURE = { metadata: {}, status: 'Failure', message: 'command terminated with non-zero exit code: exit code 3', reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: '3' }] } }

describe('exec', () => {
  it('over WebSocket v5: input with half-close, outputs apart, sizes, and the exit code in the closing Status', async () => {
    const echo = new Echo()
    let asked: unknown
    const port = await listening({ runningContainer: async ({ namespace, pod, container }, purpose) => [namespace, pod, container, purpose].join('/'), exec: async (id, request) => { asked = { id, request }; return echo } })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/exec/ns/p/c?command=a%20b&command=c&input=1&output=1&error=1`, 'v5.channel.k8s.io')
    const heard = listen(socket)
    await new Promise((resolve) => socket.on('open', resolve))
    socket.send(Buffer.concat([Buffer.from([4]), Buffer.from('{"Width":80,"Height":24}')]))
    socket.send(Buffer.concat([Buffer.from([0]), Buffer.from('hello')]))
    socket.send(Buffer.from([255, 0]))
    const { messages, code } = await heard
    assert.deepEqual(asked, { id: 'ns/p/c/exec', request: { cmd: ['a b', 'c'], tty: false, stdin: true } })
    assert.deepEqual(messages.filter((m) => !m.startsWith('3')).sort(), ['1: HELLO', '2: done'])
    assert.deepEqual(JSON.parse((messages.at(-1) ?? '').slice(3)), FAILURE)
    assert.deepEqual([code, echo.sizes, echo.closed], [1000, [{ width: 80, height: 24 }], true])
  })

  it('a command may be as long as the API server lets it be', async () => {
    let length = 0
    const port = await listening({ exec: async (_, { cmd }) => { length = cmd.join('').length; throw new CodedError('CONTAINER_NOT_READY', 'enough') } })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/exec/ns/p/c?output=1&command=${'a'.repeat(200_000)}`, 'v5.channel.k8s.io')
    await listen(socket)
    assert.equal(length, 200_000)
  })

  it('closes the session when the client goes away', async () => {
    const echo = new Echo()
    const port = await listening({ exec: async () => echo })
    const socket = new WebSocket(`ws://127.0.0.1:${port}/exec/ns/p/c?command=sh&output=1`, 'v4.channel.k8s.io')
    await new Promise((resolve) => socket.on('message', resolve))
    const closed = new Promise<void>((resolve) => { echo.close = () => resolve() })
    socket.terminate()
    await closed
  })

  it('tells a failure to start on the error channel', async () => {
    const port = await listening({ exec: async () => { throw new CodedError('CRI_FAILED', 'exec: "nope": executable file not found in $PATH') } })
    const { messages } = await listen(new WebSocket(`ws://127.0.0.1:${port}/exec/ns/p/c?command=nope&output=1`, 'v5.channel.k8s.io'))
    assert.match(messages[0] ?? '', /3: .*"status":"Failure".*executable file not found/)
  })

  it('over SPDY for older clients', async () => {
    const echo = new Echo()
    const port = await listening({ exec: async () => echo })
    const connection = await spdyConnect(port, '/exec/ns/p/c?command=sh&input=1&output=1&error=1', 'v4.channel.k8s.io')
    const session = new SpdySession(connection, { isClient: true, onStream: () => {}, onClose: () => {} })
    const streams: Record<string, SpdyStream> = {}
    for (const streamtype of ['error', 'stdin', 'stdout', 'stderr']) streams[streamtype] = await session.open({ streamtype })
    const said = Promise.all(['stdout', 'stderr', 'error'].map((s) => text(streams[s] as SpdyStream)))
    streams['stdin']?.end('hello')
    const [stdout, stderr, error] = await said
    assert.deepEqual([stdout, stderr, JSON.parse(error ?? '')], ['HELLO', 'done', FAILURE])
  })

  it('refuses requests without a command, without streams, or without an upgrade', async () => {
    const port = await listening({})
    const refusal = async (path: string) => (await new Promise<string>((resolve) => new WebSocket(`ws://127.0.0.1:${port}${path}`, 'v5.channel.k8s.io').on('error', (e) => resolve(e.message))))
    assert.match(await refusal('/exec/ns/p/c?output=1'), /400/)
    assert.match(await refusal('/exec/ns/p/c?command=sh'), /400/)
    assert.deepEqual(await get(port, '/exec/ns/p/c?command=sh&output=1'), { status: 400, body: 'Upgrade request required' })
  })

  it('what does not run is an answer of its own, before there are streams', async () => {
    const port = await listening({
      runningContainer: async ({ pod, container, uid }, purpose) => { throw pod === 'none' ? new CodedError('POD_NOT_FOUND', 'pod does not exist') : new CodedError('CONTAINER_NOT_RUNNING', `${purpose} ${container} ${uid ?? ''}`) },
      runningSandbox: async () => { throw new CodedError('POD_NOT_RUNNING', 'pod not found ("p_ns")') },
    })
    const refusal = (path: string) => new Promise<[number | undefined, string]>((resolve) => {
      const upgrade = httpRequest({ port, path, method: 'POST', headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' } })
      upgrade.on('response', (response) => { void text(response).then((body) => resolve([response.statusCode, body])) }).end()
    })
    assert.deepEqual(await Promise.all(['/exec/ns/none/c?command=sh&output=1', '/exec/ns/p/c?command=sh&output=1', '/attach/ns/p/u/c?output=1', '/portForward/ns/p', '/exec/ns/p?command=sh&output=1', '/stats/x'].map(refusal)), [
      [404, 'pod does not exist'], [500, 'exec c '], [500, 'attach c u'], [500, 'pod not found ("p_ns")'], [404, '404: Page Not Found'], [404, '404: Page Not Found'],
    ])
  })

  it('/run answers what the command said, and fails when it does', async () => {
    const said = (code: number): IoSession => {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()]
      stderr.end('err')
      stdout.end('out ')
      return { stdin: undefined, stdout, stderr, resize: () => {}, close: () => {}, done: Promise.all([stdout, stderr].map((s) => once(s, 'end'))).then(() => code) }
    }
    const asked: string[][] = []
    const port = await listening({ exec: async (_, { cmd }) => { asked.push(cmd); return said(cmd[0] === 'false' ? 1 : 0) } })
    const run = (cmd: string) => call(port, 'POST', `/run/ns/p/c?cmd=${cmd}`)
    assert.deepEqual([await run('echo%20hi'), await run('false'), asked], [{ status: 200, type: 'application/json', body: 'out err' }, { status: 500, type: 'text/plain; charset=utf-8', body: 'command \'false\' exited with 1: err' }, [['echo', 'hi'], ['false']]])
  })
})

describe('port-forward', () => {
  for (const protocol of ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io']) {
    it(`over WebSocket channels, two for each port, ${protocol}`, async () => {
      const server = createServer((socket) => socket.on('data', (c) => socket.end(`you said ${c.toString()}`)))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      servers.push(server)
      const open = (server.address() as AddressInfo).port
      const port = await listening({ portForward: (_pod, wanted) => (wanted === 80 ? Promise.resolve(connect(open, '127.0.0.1')) : Promise.reject(new Error('connection refused'))) })
      const isBase64 = protocol.includes('base64')
      const socket = new WebSocket(`ws://127.0.0.1:${port}/portForward/ns/p?port=81&port=80`, protocol)
      const heard = new Map<number, Buffer[]>()
      socket.on('message', (raw: Buffer) => {
        const [channel, data] = isBase64 ? [(raw[0] ?? 0) - 0x30, Buffer.from(raw.toString('latin1', 1), 'base64')] : [raw[0] ?? 0, raw.subarray(1)]
        heard.set(channel, [...(heard.get(channel) ?? []), data])
      })
      // Before the port can have answered: it waits.
      socket.on('open', () => socket.send(isBase64 ? `2${Buffer.from('hello').toString('base64')}` : Buffer.from([2, ...Buffer.from('hello')])))
      const code = await new Promise<number>((resolve) => socket.on('close', resolve))
      const [port81, port80] = [[81, 0], [80, 0]].map((n) => Buffer.from(n).toString('latin1'))
      const texts = [...heard].toSorted(([a], [b]) => a - b).map(([channel, [first, ...rest]]) => [channel, first?.toString('latin1'), Buffer.concat(rest).toString()])
      assert.deepEqual([code, texts], [1000, [[0, port81, ''], [1, port81, 'error forwarding port 81: connection refused'], [2, port80, 'you said hello'], [3, port80, '']]])
    })
  }

  it('over WebSocket channels needs to be told the ports, and no more than there are channels', async () => {
    const port = await listening({})
    const refused = (query: string, protocol: string) => new Promise<string>((resolve) => new WebSocket(`ws://127.0.0.1:${port}/portForward/ns/p${query}`, protocol).on('error', (e) => resolve(e.message)))
    assert.deepEqual(await Promise.all([refused('', 'v4.channel.k8s.io'), refused('?port=1,2,3,4,5,6', 'v4.base64.channel.k8s.io')]), ['Unexpected server response: 400', 'Unexpected server response: 400'])
  })

  for (const wire of ['SPDY/3.1', 'SPDY inside a WebSocket'] as const) {
    it(`over ${wire}: each pair of streams is a connection, failures are told on the error stream`, async () => {
      const backend = createServer((socket) => { socket.on('data', (c) => socket.end(`got ${c.toString()}`)) })
      servers.push(backend)
      await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve))
      const open = (backend.address() as AddressInfo).port
      const port = await listening({ portForward: (_pod, wanted) => (wanted === 80 ? Promise.resolve(connect(open, '127.0.0.1')) : Promise.reject(new Error('connection refused'))) })
      const path = '/portForward/ns/p'
      const connection = wire === 'SPDY/3.1' ? await spdyConnect(port, path, 'portforward.k8s.io') : await tunnelled(port, path)
      const session = new SpdySession(connection, { isClient: true, onStream: () => {}, onClose: () => {} })
      const forward = async (to: string, requestid: string, say: string) => {
        const errors = await session.open({ streamtype: 'error', port: to, requestid })
        errors.end()
        const data = await session.open({ streamtype: 'data', port: to, requestid })
        const heard = Promise.all([text(data), text(errors)])
        data.write(say)
        return heard
      }
      assert.deepEqual(await Promise.all([forward('80', '0', 'one'), forward('80', '1', 'two'), forward('81', '2', 'x')]), [['got one', ''], ['got two', ''], ['', 'error forwarding port 81: connection refused']])
      session.close()
    })
  }
})

describe('logs and the rest', () => {
  it('streams logs with the options asked for', async () => {
    let options: unknown
    const port = await listening({ readLogs: async (_t, o, sink) => { options = o; await sink.write(Buffer.from('a\n')); await sink.write(Buffer.from('b\n')) } })
    assert.deepEqual(await get(port, '/containerLogs/ns/p/c?tailLines=2&previous=true&timestamps=true&limitBytes=10&sinceTime=2026-01-01T00:00:00Z'), { status: 200, body: 'a\nb\n' })
    assert.deepEqual(options, { previous: true, follow: false, timestamps: true, tailLines: 2, limitBytes: 10, sinceTime: '2026-01-01T00:00:00Z' })
  })
  it('answers refusals with their code and text', async () => {
    const port = await listening({ readLogs: async (t) => { throw new CodedError(t.pod === 'p' ? 'CONTAINER_NOT_READY' : 'POD_NOT_FOUND', `container "c" in pod "${t.pod}" is waiting to start: ContainerCreating`) } })
    assert.deepEqual(await get(port, '/containerLogs/ns/p/c'), { status: 400, body: 'container "c" in pod "p" is waiting to start: ContainerCreating' })
    assert.equal((await get(port, '/containerLogs/ns/q/c')).status, 404)
    const undecodable = { status: 400, body: '{"message": "Unable to decode query."}' }
    const invalid = { status: 422, body: '{"message": "Invalid request."}' }
    const wanted: [string, object][] = [
      ['tailLines=x', undecodable], ['sinceTime=yesterday', undecodable], ['tail=x', undecodable], ['tailLines=-1', invalid], ['limitBytes=0', invalid], ['sinceSeconds=0', invalid], ['stream=Both', invalid], ['stream=Stdout&tailLines=1', invalid], ['sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z', invalid],
    ]
    for (const [query, answer] of wanted) assert.deepEqual([query, await get(port, `/containerLogs/ns/p/c?${query}`)], [query, answer])
  })

  it('an older name of tailLines is understood', async () => {
    const tails: (number | undefined)[] = []
    const port = await listening({ readLogs: async (_, { tailLines }) => { tails.push(tailLines) } })
    for (const query of ['tail=3', 'tail=all', 'tail=3&tailLines=5']) await get(port, `/containerLogs/ns/p/c?${query}`)
    assert.deepEqual(tails, [3, undefined, 3])
  })
})

function text(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let all = ''
    stream.on('data', (c: Buffer) => { all += c.toString() }).on('end', () => resolve(all)).on('error', reject)
  })
}

function spdyConnect(port: number, path: string, protocol: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, path, method: 'POST', headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': protocol } })
    request.on('upgrade', (_response, socket) => resolve(socket as Socket)).on('response', (r) => reject(new Error(String(r.statusCode)))).on('error', reject).end()
  })
}

/** By hand: ws refuses to ask for a protocol with a slash in its name, which is what kubectl does. */
async function tunnelled(port: number, path: string): Promise<Duplex> {
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': Buffer.alloc(16).toString('base64'), 'sec-websocket-protocol': 'SPDY/3.1+portforward.k8s.io' }
  return new Promise((resolve, reject) => {
    httpRequest({ port, path, headers }).on('upgrade', (response, socket, head) => {
      assert.equal(response.headers['sec-websocket-protocol'], 'SPDY/3.1+portforward.k8s.io')
      const client = new WebSocket(null as never, undefined, { autoPong: true }) as WebSocket & { _isServer: boolean; setSocket(socket: Duplex, head: Buffer, options: object): void }
      client._isServer = false
      client.setSocket(socket, head, { maxPayload: 1 << 20 })
      resolve(webSocketDuplex(client))
    }).on('response', (r) => reject(new Error(String(r.statusCode)))).on('error', reject).end()
  })
}

describe('what tells of the node', () => {
  it('is served on upstream\'s paths, and nothing else is', async () => {
    const port = await listening({ runningPods: async () => [{ metadata: { name: 'r' } }], pods: () => [] })
    const list = (items: object[]) => JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items })
    const wanted: [string, number, string][] = [
      ['/healthz', 200, 'ok'], ['/pods', 200, list([])], ['/runningpods/', 200, list([{ metadata: { name: 'r' } }])], ['/configz', 200, '{"kubeletconfig":{}}'],
      ['/stats/summary', 200, '{"onlyCpuAndMemory":false}'], ['/stats/summary?only_cpu_and_memory=true', 200, '{"onlyCpuAndMemory":true}'],
      ['/metrics/resource', 200, 'resource_up 1\n'], ['/metrics/cadvisor', 200, 'cadvisor_up 1\n'], ['/metrics/probes', 200, 'probes_up 1\n'],
      ['/metrics/other', 404, '404 page not found\n'], ['/stats/other', 404, '404: Page Not Found'], ['/stats', 404, '404: Page Not Found'], ['/', 404, '404 page not found\n'], ['/nothing', 404, '404 page not found\n'],
      ['/containerLogs/ns/p', 404, '404: Page Not Found'], ['/pods/x', 404, '404: Page Not Found'], ['/pods/', 200, list([])], ['/run/ns/p/c', 405, '405: Method Not Allowed'],
    ]
    for (const [path, status, body] of wanted) assert.deepEqual([path, await get(port, path)], [path, { status, body }])
  })

  it('requests are counted and timed by path and method beside the node\'s own figures; what clients make up is one of each', async () => {
    const port = await listening({ pods: () => [] })
    for (const path of ['/pods', '/pods', '/metrics/probes', '/made/up', '/made/otherwise', '/containerLogs/ns/p']) await get(port, path)
    const { body } = await get(port, '/metrics')
    const labels = (path: string) => `{long_running="false",method="GET",path="${path}",server_type="readwrite"}`
    const lines = body.split('\n')
    assert.deepEqual(lines.filter((l) => /^kubelet_(up|http_requests_total)/.test(l)), [
      'kubelet_up 1', `kubelet_http_requests_total${labels('pods')} 2`, `kubelet_http_requests_total${labels('metrics/probes')} 1`, `kubelet_http_requests_total${labels('other')} 2`,
      `kubelet_http_requests_total${labels('containerLogs')} 1`, `kubelet_http_requests_total${labels('metrics')} 1`,
    ])
    assert.deepEqual(lines.filter((l) => l.startsWith('kubelet_http_requests_duration_seconds_count')), ['pods', 'metrics/probes', 'other', 'containerLogs'].map((path, i) => `kubelet_http_requests_duration_seconds_count${labels(path)} ${[2, 1, 2, 1][i] ?? 0}`))
    assert.deepEqual(lines.filter((l) => l.startsWith('kubelet_http_inflight_requests{') && !l.endsWith(' 0')), [`kubelet_http_inflight_requests${labels('metrics')} 1`])
  })

  it('a method that a path does not have is refused with those it has', async () => {
    const port = await listening({})
    const asked: [string, string, string | undefined][] = [['DELETE', '/pods', 'GET'], ['GET', '/run/ns/p/c', 'POST'], ['PUT', '/exec/ns/p/c', 'GET, POST'], ['POST', '/logs/x', 'GET'], ['POST', '/metrics', undefined]]
    for (const [method, path, allow] of asked) {
      const response = await new Promise<IncomingMessage>((resolve) => httpRequest({ port, path, method }, resolve).end())
      response.resume()
      assert.deepEqual([method, path, response.statusCode, response.headers.allow], [method, path, allow === undefined ? 200 : 405, allow])
    }
  })

  it('a pod in a list does not say what it is', async () => {
    const port = await listening({ pods: () => [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '' } }] })
    assert.deepEqual((JSON.parse((await get(port, '/pods')).body) as { items: object[] }).items, [{ metadata: { name: 'a', uid: 'u', resourceVersion: '1', creationTimestamp: '' } }])
  })

  it('tells of itself at /statusz and /flagz, as text for people and as objects for who asks for a version', async () => {
    const port = await listening({})
    const ask = async (path: string, accept?: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: accept === undefined ? {} : { accept } })
      return { status: response.status, type: response.headers.get('content-type'), warning: response.headers.get('warning'), body: await response.text() }
    }
    const text = await ask('/statusz')
    assert.deepEqual([text.status, text.type], [200, 'text/plain; charset=utf-8'])
    assert.match(text.body, /^\nkubelet statusz\nWarning: This endpoint is not meant to be machine parseable[^]*\nStarted.* Sun Sep {2}9 01:46:40 UTC 2001\n[^]*\nPaths.* \/configz \/flagz \/healthz \/metrics \/statusz\n$/)
    const flagz = await ask('/flagz', 'application/json;v=v1beta1;g=config.k8s.io;as=Flagz')
    assert.deepEqual([flagz.type, JSON.parse(flagz.body)], ['application/json', { kind: 'Flagz', apiVersion: 'config.k8s.io/v1beta1', metadata: { name: 'kubelet' }, flags: { 'node-name': 'n1', token: 'CLASSIFIED' } }])
    const old = await ask('/flagz', 'application/yaml;v=v1alpha1;g=config.k8s.io;as=Flagz')
    assert.deepEqual([old.type, old.warning, old.body], ['application/yaml', '299 - "This version of the flagz endpoint is deprecated. Please use a newer version."', 'apiVersion: config.k8s.io/v1alpha1\nflags:\n  node-name: n1\n  token: CLASSIFIED\nkind: Flagz\nmetadata:\n  name: kubelet\n'])
    const refused = await ask('/statusz', 'application/json')
    assert.deepEqual([refused.status, (JSON.parse(refused.body) as { message: string }).message], [406, 'only the following media types are accepted: application/json, application/yaml, text/plain'])
  })

  it('health: each check by its name, all of them by request or when one fails, and what came of them as metrics', async (t) => {
    const port = await listening({})
    t.after(() => ills.splice(0))
    const ask = async (path: string) => { const { status, body } = await get(port, path); return [status, body] }
    assert.deepEqual([await ask('/healthz'), await ask('/healthz/ping'), await ask('/healthz/none'), await ask('/healthz?verbose')], [[200, 'ok'], [200, 'ok'], [404, '404 page not found\n'], [200, '[+]ping ok\n[+]log ok\nhealthz check passed\n']])
    ills.push('syncloop')
    const failed = '[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\n'
    assert.deepEqual([await ask('/healthz'), await ask('/healthz/syncloop'), await ask('/healthz?exclude=syncloop&exclude=x&verbose')], [
      [500, `${failed}healthz check failed\n`], [500, 'internal server error: it is ill\n'],
      [200, '[+]ping ok\n[+]log ok\n[+]syncloop excluded: ok\nwarn: some health checks cannot be excluded: no matches for "x"\nhealthz check passed\n'],
    ])
    const figuresOf = async () => (await get(port, '/metrics/slis')).body.split('\n').filter((l) => l !== '' && !l.startsWith('#'))
    assert.deepEqual(await figuresOf(), [
      'kubernetes_healthcheck{name="log",type="healthz"} 1', 'kubernetes_healthcheck{name="ping",type="healthz"} 1', 'kubernetes_healthcheck{name="syncloop",type="healthz"} 0',
      'kubernetes_healthchecks_total{name="log",status="success",type="healthz"} 4', 'kubernetes_healthchecks_total{name="ping",status="success",type="healthz"} 4', 'kubernetes_healthchecks_total{name="syncloop",status="error",type="healthz"} 1',
    ])
    assert.deepEqual([(await call(port, 'DELETE', '/metrics/slis')).body, await figuresOf()], ['metrics reset\n', []])
  })

  it('/logs shows files of the log directory, and nothing outside it', async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'system-logs-'))
    t.after(() => rmSync(dir, { recursive: true }))
    const logs = join(dir, 'log')
    mkdirSync(join(logs, 'sub<>'), { recursive: true })
    writeFileSync(join(dir, 'secret'), 'no')
    writeFileSync(join(logs, 'syslog'), 'line\n')
    writeFileSync(join(logs, 'empty'), '')
    symlinkSync('../secret', join(logs, 'link'))
    const port = await listening({}, logs)
    assert.deepEqual(await get(port, '/logs/syslog'), { status: 200, body: 'line\n' })
    assert.deepEqual(await get(port, '/logs/empty'), { status: 200, body: '' })
    assert.match((await get(port, '/logs/')).body, /<a href="sub%3C%3E\/">sub&lt;&gt;\/<\/a>\n<a href="syslog">syslog<\/a>/)
    for (const path of ['/logs/link', '/logs/..%2fsecret', '/logs/%2e%2e/secret', '/logs/none', '/logs/syslog/x']) assert.equal((await get(port, path)).status, 404, path)
  })
})
