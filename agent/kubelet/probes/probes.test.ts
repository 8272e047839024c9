import assert from 'node:assert/strict'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import type { Probe } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { aContainer } from '../testing/builders.ts'
import { firstProbeAtMs, initialProbeState, nextProbeState } from './probe-state.ts'
import { createRunProbe } from './run-probe.ts'
import { createTimerWheel } from './timer-wheel.ts'

test('verdicts change after their thresholds, in a row', () => {
  const run = (kind: 'liveness' | 'readiness', probe: Probe, outcomes: string) => {
    let state = initialProbeState(kind)
    return outcomes.split('').map((o) => { state = nextProbeState(kind, probe, state, o === '+' ? 'success' : 'failure'); return `${state.result}${state.onHold ? '!' : ''}` })
  }
  assert.deepStrictEqual(run('liveness', { failureThreshold: 2 }, '-+--'), ['success', 'success', 'success', 'failure!'])
  assert.deepStrictEqual(run('readiness', { successThreshold: 2, failureThreshold: 3 }, '+-++---'), ['failure', 'failure', 'failure', 'success', 'success', 'success', 'failure'])
})

test('never a verdict without its number of equal outcomes before it', () => {
  fc.assert(fc.property(fc.array(fc.boolean()), fc.integer({ min: 1, max: 4 }), (outcomes, threshold) => {
    let state = initialProbeState('readiness')
    for (const [i, ok] of outcomes.entries()) {
      const before = state.result
      state = nextProbeState('readiness', { successThreshold: threshold, failureThreshold: threshold }, state, ok ? 'success' : 'failure')
      if (state.result !== before) assert.ok(i + 1 >= threshold && outcomes.slice(i + 1 - threshold, i + 1).every((o) => o === ok))
    }
  }))
})

test('the first probe waits for its delay since the container\'s start, not since the agent\'s', () => {
  assert.deepStrictEqual([firstProbeAtMs({ initialDelaySeconds: 10 }, 1_000, 2_000), firstProbeAtMs({ initialDelaySeconds: 10 }, 1_000, 60_000), firstProbeAtMs({}, 1_000, 2_000)], [11_000, 60_000, 2_000])
})

test('one timer serves all moments, in their order', async () => {
  const clock = new FakeClock()
  const wheel = createTimerWheel(clock)
  const fired: string[] = []
  for (const [key, at] of [['c', 30], ['a', 10], ['b', 20], ['gone', 15]] as const) wheel.set(key, at, () => fired.push(`${key}@${clock.monotonicMs()}`))
  wheel.cancel('gone')
  wheel.set('a', 12, () => fired.push(`a again@${clock.monotonicMs()}`))
  assert.deepStrictEqual([clock.pending, wheel.size], [1, 3])
  await clock.advance(25)
  wheel.close()
  await clock.advance(100)
  assert.deepStrictEqual([fired, clock.pending], [['a again@12', 'b@20'], 0])
})

const runtime = (exec: () => Promise<{ exitCode: number; stdout: Buffer; stderr: Buffer }>) => ({ execSync: exec })
const none = runtime(() => Promise.reject(new Error('no exec here')))
const ask = (probe: Probe, exec: Parameters<typeof createRunProbe>[0]['runtime'] = none) => createRunProbe({ runtime: exec, clock: systemClock })({ probe, container: aContainer('app', { env: [{ name: 'WHERE', value: '/health' }, { name: 'SECRET', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }], ports: [{ name: 'web', containerPort: 1 }] }), containerId: 'c', podIp: '127.0.0.1' }, new AbortController().signal)

async function listen(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  t.after(() => new Promise<void>((resolve) => { server.close(() => resolve()) }))
  return (server.address() as AddressInfo).port
}

test('exec probes go by the exit code; what could not be asked is no verdict', async () => {
  const said = (exitCode: number) => runtime(() => Promise.resolve({ exitCode, stdout: Buffer.from('out '), stderr: Buffer.from('err') }))
  const probe = { exec: { command: ['check', 'it'] }, timeoutSeconds: 2 }
  assert.deepStrictEqual(await ask(probe, said(0)), { result: 'success', output: 'out err' })
  assert.deepStrictEqual(await ask(probe, said(1)), { result: 'failure', output: 'out err' })
  assert.deepStrictEqual(await ask(probe, runtime(() => Promise.reject(new CodedError('CRI_TIMEOUT', 'x')))), { result: 'failure', output: 'command timed out: "check it" timed out after 2s' })
  assert.deepStrictEqual(await ask(probe), { result: 'error', output: 'rpc error: code = Unknown desc = no exec here' })
})

test('a probe\'s command may name variables that are written out in its container', async () => {
  const asked: string[][] = []
  const exec = { execSync: async (_: string, cmd: readonly string[]) => { asked.push([...cmd]); return { exitCode: 0, stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) } } }
  await ask({ exec: { command: ['get', '$(WHERE)/$(SECRET)', '$$(WHERE)', '$(NONE)', '$WHERE'] } }, exec)
  assert.deepStrictEqual(asked, [['get', '/health/', '$(WHERE)', '$(NONE)', '$WHERE']])
})

test('a probe that cannot be made is tried three times before that is told', async () => {
  let tries = 0
  const failsUntil = (last: number) => runtime(() => (++tries < last ? Promise.reject(new Error('busy')) : Promise.resolve({ exitCode: 0, stdout: Buffer.from('ok'), stderr: Buffer.alloc(0) })))
  assert.deepStrictEqual([await ask({ exec: { command: ['x'] } }, failsUntil(3)), tries], [{ result: 'success', output: 'ok' }, 3])
  tries = 0
  assert.deepStrictEqual([await ask({ exec: { command: ['x'] } }, failsUntil(4)), tries], [{ result: 'error', output: 'rpc error: code = Unknown desc = busy' }, 3])
})

test('HTTP probes read what Go reads: answers of shell scripts, and of what would go on in another protocol, too', async (t) => {
  const asked = async (answer: string) => {
    const server = createTcpServer((socket) => { socket.on('error', () => {}); socket.once('data', () => socket.end(answer)) })
    const port = await listen(t, server)
    return ask({ httpGet: { port } })
  }
  for (const answer of ['HTTP/1.1 200 OK\n\nok', 'HTTP/1.1 200\n\nok', 'HTTP/1.0 200 \r\nA: b\n\nok', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n']) assert.deepStrictEqual(await asked(answer), { result: 'success', output: 'ok' }, answer)
  assert.deepStrictEqual(await asked(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\nContent-Length: 2\r\n\r\nok`), { result: 'success', output: 'ok' })
  assert.deepStrictEqual(await asked('HTTP/1.1 503\n\nbroken'), { result: 'failure', output: 'HTTP probe failed with statuscode: 503' })
  for (const answer of ['HTTP/1.1 101 Switching Protocols\r\n\r\n', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello']) assert.deepStrictEqual(await asked(answer), { result: 'failure', output: 'HTTP probe failed with statuscode: 101' }, answer)
  const stays = await listen(t, createTcpServer((socket) => { socket.on('error', () => {}); socket.once('data', () => socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')) }))
  assert.deepStrictEqual(await ask({ timeoutSeconds: 1, httpGet: { port: stays } }), { result: 'error', output: 'context deadline exceeded (Client.Timeout or context cancellation while reading body)', state: 'failure' })
  assert.deepStrictEqual(await asked('HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'), { result: 'success', output: 'ok' })
  const { result, output } = await asked('200 OK\n')
  assert.equal(result, 'failure')
  assert.match(output, /^Get "http:\/\/127\.0\.0\.1:\d+\/": net\/http: HTTP\/1\.x transport connection broken: malformed HTTP response: /)
})

test('an HTTP probe\'s headers go out as UTF-8', async (t) => {
  const seen: string[] = []
  const port = await listen(t, createTcpServer((socket) => { socket.on('error', () => {}); socket.once('data', (head) => { seen.push(...head.toString('utf8').split('\r\n').filter((line) => /^x-/i.test(line))); socket.end('HTTP/1.1 200 OK\r\n\r\n') }) }))
  assert.deepStrictEqual([await ask({ httpGet: { port, httpHeaders: [{ name: 'X-One', value: '\u2713 f\u00fcr' }, { name: 'x-one', value: 'b' }] } }), seen], [{ result: 'success', output: '' }, ['x-one: \u2713 f\u00fcr', 'x-one: b']])
})

test('HTTP probes go by the status, follow redirects at home, and name what went wrong', async (t) => {
  const seen: unknown[] = []
  const port = await listen(t, createHttpServer((req, res) => {
    seen.push([req.url, req.headers['user-agent'], req.headers.accept, req.headers['x-a']])
    if (req.url?.startsWith('/turn')) res.writeHead(307, { location: `/turn${Number(req.url.slice(5)) + 1}` }).end()
    else if (req.url === '/nowhere') res.writeHead(303).end('where')
    else if (req.url === '/choices') res.writeHead(300, { location: '/ok' }).end('some')
    else if (req.url === '/half') res.writeHead(200, { 'content-length': '10' }).write('half')
    else if (req.url === '/cut') { res.writeHead(200, { 'content-length': '10' }).write('cut'); setImmediate(() => res.destroy()) }
    else if (req.url === '/moved') res.writeHead(302, { location: '/ok' }).end()
    else if (req.url === '/away') res.writeHead(302, { location: 'http://other.example/' }).end('bye')
    else if (req.url === '/hang') return
    else if (req.url === '/long') res.writeHead(200).end(Buffer.alloc(100_000, 'x'))
    else res.writeHead(req.url === '/ok' ? 204 : 503).end()
  }))
  const get = (path: string, more: object = {}) => ask({ timeoutSeconds: 1, httpGet: { path, port, ...more } })
  assert.deepStrictEqual((await get('/moved', { httpHeaders: [{ name: 'X-A', value: '1' }] })).result, 'success')
  assert.deepStrictEqual(seen[0], ['/moved', 'kube-probe/1.36', '*/*', '1'])
  assert.deepStrictEqual(await get('/bad'), { result: 'failure', output: 'HTTP probe failed with statuscode: 503' })
  assert.deepStrictEqual([await get('/away'), await get('/nowhere'), await get('/choices')], ['bye', 'where', 'some'].map((body) => ({ result: 'warning', output: `Probe terminated redirects, Response body: ${body}` })))
  seen.splice(0)
  assert.deepStrictEqual([await get('/turn1'), seen.length], [{ result: 'failure', output: 'Get "/turn11": stopped after 10 redirects' }, 10])
  // Upstream's: neither well nor ill.
  assert.deepStrictEqual([await get('/half'), await get('/cut')], ['context deadline exceeded (Client.Timeout or context cancellation while reading body)', 'unexpected EOF'].map((output) => ({ result: 'error', output, state: 'failure' })))
  seen.splice(0)
  await get('ä b?c=d#e', { httpHeaders: [{ name: 'X-A', value: '1' }, { name: 'x-a', value: '2' }] })
  assert.deepStrictEqual(seen, [['/%C3%A4%20b?c=d', 'kube-probe/1.36', '*/*', '1, 2']])
  assert.equal((await get('/long')).output.length <= 10_240, true)
  assert.deepStrictEqual(await get('/hang'), { result: 'failure', output: `Get "http://127.0.0.1:${port}/hang": context deadline exceeded (Client.Timeout exceeded while awaiting headers)` })
})

test('nobody listening is a failure in Go\'s words; a port that is none is no verdict', async (t) => {
  const server = createTcpServer()
  const port = await listen(t, server)
  assert.deepStrictEqual(await ask({ tcpSocket: { port } }), { result: 'success', output: '' })
  const free = createTcpServer()
  await new Promise<void>((resolve) => { free.listen(0, '127.0.0.1', resolve) })
  const closed = (free.address() as AddressInfo).port
  await new Promise<void>((resolve) => { free.close(() => resolve()) })
  assert.deepStrictEqual(await ask({ tcpSocket: { port: closed } }), { result: 'failure', output: `dial tcp 127.0.0.1:${closed}: connect: connection refused` })
  assert.deepStrictEqual(await ask({ httpGet: { port: closed } }), { result: 'failure', output: `Get "http://127.0.0.1:${closed}/": dial tcp 127.0.0.1:${closed}: connect: connection refused` })
  assert.deepStrictEqual(await ask({ tcpSocket: { port: 'nope' } }), { result: 'error', output: 'strconv.Atoi: parsing "nope": invalid syntax' })
  assert.deepStrictEqual([(await ask({ tcpSocket: { port: '70000' } })).output, (await ask({ tcpSocket: { port: String(port) } })).result], ['invalid port number: 70000', 'success'])
})

test('gRPC health is asked by name and answered by status', async (t) => {
  const asked: string[] = []
  const server = createHttp2Server()
  server.on('stream', (stream: ServerHttp2Stream) => {
    const chunks: Buffer[] = []
    stream.on('data', (c: Buffer) => chunks.push(c))
    stream.on('end', () => {
      const name = Buffer.concat(chunks).subarray(7).toString()
      asked.push(name)
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      const [status, words] = name === 'unknown' ? ['5', 'unknown service'] : name === 'older' ? ['12', 'unknown%20service grpc.health.v1.Health'] : ['0', '']
      if (name === 'hang') return
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status, 'grpc-message': words }))
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, name === 'down' ? 2 : 1]))
    })
  })
  const port = await listen(t, server)
  const health = (service?: string) => ask({ timeoutSeconds: 1, grpc: { port, ...(service !== undefined && { service }) } })
  assert.deepStrictEqual([await health(), await health('down'), await health('unknown'), await health('older'), await health('hang')], [
    { result: 'success', output: 'service healthy' },
    ...['service unhealthy (responded with "NOT_SERVING")', 'error: health rpc probe failed: rpc error: code = NotFound desc = unknown service', 'error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health', 'timeout: health rpc did not complete within 1s'].map((output) => ({ result: 'failure', output })),
  ])
  assert.deepStrictEqual(asked, ['', 'down', 'unknown', 'older', 'hang'])
  const silent = await listen(t, createTcpServer((socket) => socket.resume()))
  assert.deepStrictEqual(await ask({ timeoutSeconds: 1, grpc: { port: silent } }), { result: 'failure', output: `timeout: failed to connect service "127.0.0.1:${silent}" within 1s: context deadline exceeded` })
})
