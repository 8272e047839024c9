/** Lifecycle handlers against real servers, and what their failures say. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { LifecycleHandler } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { createHookRunner, type HookDeps, type HookRequest } from './hooks.ts'
import { aContainer } from './testing/builders.ts'

const exits = (exitCode: number): HookDeps['runtime'] => ({ execSync: () => Promise.resolve({ exitCode, stdout: Buffer.from('out '), stderr: Buffer.from('err') }) })
const run = (handler: LifecycleHandler, more: Partial<HookRequest> = {}, deps: Partial<HookDeps> = {}, signal = new AbortController().signal) =>
  createHookRunner({ runtime: exits(0), clock: systemClock, ...deps }).run({ handler, container: aContainer('app', { ports: [{ name: 'web', containerPort: 80 }] }), pod: 'p_default(u)', containerId: 'id', podIp: '127.0.0.1', timeoutSeconds: 5, ...more }, signal)

async function server(t: TestContext): Promise<{ port: number; asked: IncomingHttpHeaders[] }> {
  const asked: IncomingHttpHeaders[] = []
  const http = createServer((request, response) => { asked.push(request.headers); response.writeHead(500).end('busy') })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  t.after(() => { http.close(); http.closeAllConnections() })
  return { port: (http.address() as AddressInfo).port, asked }
}

test('a command that fails says what it was and what it said', async () => {
  await run({ exec: { command: ['true'] } })
  await assert.rejects(run({ exec: { command: ['sh', '-c', 'x'] } }, {}, { runtime: exits(3) }), { message: 'Exec lifecycle hook ([sh -c x]) for Container "app" in Pod "p_default(u)" failed - error: command \'sh -c x\' exited with 3: err, message: "out err"' })
  const cannot: HookDeps['runtime'] = { execSync: () => Promise.reject(new CodedError('CRI_FAILED', 'no such program')) }
  await assert.rejects(run({ exec: { command: ['x'] } }, {}, { runtime: cannot }), { message: 'Exec lifecycle hook ([x]) for Container "app" in Pod "p_default(u)" failed - error: rpc error: code = Unknown desc = no such program, message: ""' })
})

test('a command that nobody waits for any more is left to its container\'s end', async () => {
  const [waits, asked] = [new AbortController(), Promise.withResolvers<number>()]
  const runtime: HookDeps['runtime'] = { execSync: (_id, _cmd, timeoutSeconds) => { asked.resolve(timeoutSeconds); return new Promise(() => {}) } }
  const hook = run({ exec: { command: ['sleep', '1000'] } }, {}, { runtime }, waits.signal)
  assert.strictEqual(await asked.promise, 0, 'the runtime does not end it')
  waits.abort(new Error('the grace period is over'))
  await assert.rejects(hook, { message: 'the grace period is over' })
})

test('a request is done once it is answered, whatever the answer', async (t) => {
  const { port, asked } = await server(t)
  await run({ httpGet: { port, path: '/hook', httpHeaders: [{ name: 'X-A', value: 'b' }] } })
  assert.deepStrictEqual(asked.map((h) => [h['user-agent'], h['x-a']]), [['kube-lifecycle/1.36', 'b']])
})

test('nobody who answers is said', async () => {
  await assert.rejects(run({ httpGet: { port: 1 } }), { message: 'HTTP lifecycle hook (/) for Container "app" in Pod "p_default(u)" failed - error: Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused' })
  await assert.rejects(run({ httpGet: { port: 'web' } }, { podIp: undefined }), { message: 'HTTP lifecycle hook (/) for Container "app" in Pod "p_default(u)" failed - error: failed to find networking container: the pod has no address' })
})

test('who asks for HTTPS and is answered in HTTP asks again without what was secret, and it is told', async (t) => {
  const { port, asked } = await server(t)
  const hosts: string[] = []
  const onFallback = (host: string) => hosts.push(host)
  await run({ httpGet: { port, scheme: 'HTTPS', httpHeaders: [{ name: 'Authorization', value: 'Bearer x' }, { name: 'X-A', value: 'b' }] } }, { onFallback })
  assert.deepStrictEqual([asked.map((h) => [h.authorization, h['x-a']]), hosts], [[[undefined, 'b']], [`127.0.0.1:${port}`]])
  await assert.rejects(run({ httpGet: { port: 1, scheme: 'HTTPS' } }, { onFallback }), /connection refused/)
  assert.equal(hosts.length, 1)
})

test('a sleep lasts as long as it may, and ends with its container\'s', async () => {
  const clock = new FakeClock()
  const order: string[] = []
  void run({ sleep: { seconds: 60 } }, { timeoutSeconds: 10 }, { clock }).then(() => order.push('slept'))
  await clock.advance(9_999)
  order.push('10 s')
  await clock.advance(1)
  assert.deepStrictEqual(order, ['10 s', 'slept'])
  const stop = new AbortController()
  const cut = run({ sleep: { seconds: 5 } }, {}, { clock }, stop.signal)
  stop.abort(new Error('over'))
  await assert.rejects(cut, { message: 'over' })
})

test('a handler of no kind that is known is refused', () => assert.rejects(run({}), { message: 'Cannot run handler: invalid handler: {}' }))
