import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { createKubeletAuth } from './kubelet-auth.ts'
import { kubeletAttributes } from './kubelet-paths.ts'

const paths: [string, string, string, string[]][] = [
  ['GET', '/stats/summary', 'get', ['stats']], ['GET', '/metrics', 'get', ['metrics']], ['GET', '/metrics/cadvisor', 'get', ['metrics']], ['GET', '/logs/dmesg', 'get', ['log']],
  ['GET', '/pods', 'get', ['pods', 'proxy']], ['GET', '/runningpods/', 'get', ['pods', 'proxy']], ['GET', '/healthz', 'get', ['healthz', 'proxy']], ['GET', '/configz', 'get', ['configz', 'proxy']],
  ['POST', '/exec/ns/pod/c', 'create', ['proxy']], ['GET', '/exec/ns/pod/c', 'get', ['proxy']], ['POST', '/run/ns/pod/c', 'create', ['proxy']], ['GET', '/containerLogs/ns/pod/c', 'get', ['proxy']],
  ['PUT', '/x', 'update', ['proxy']], ['DELETE', '/constructor', 'delete', ['proxy']], ['POST', '/checkpoint/ns/pod/c', 'create', ['checkpoint']], ['GET', '/statusz', 'get', ['statusz']], ['GET', '/flagz', 'get', ['configz']], ['HEAD', '/metrics', '', ['metrics']],
]
for (const [method, path, verb, subresources] of paths) test(`${method} ${path} is ${verb} on nodes/${subresources.join(' or nodes/')}`, () => assert.deepStrictEqual(kubeletAttributes(method, path), { verb, subresources }))

/** An API server that knows one token, and what its user may do. */
function world(allowed: readonly string[]) {
  const clock = new FakeClock()
  const calls: string[] = []
  const state = { allowed: [...allowed], isDown: false }
  const client = {
    async create(ref: { resource: string }, object: unknown) {
      if (state.isDown) throw new Error('connect ECONNREFUSED')
      if (ref.resource === 'tokenreviews') {
        const { token } = (object as { spec: { token: string } }).spec
        calls.push(`review ${token}`)
        return { status: token === 'good' ? { authenticated: true, user: { username: 'prom', groups: ['g'], uid: 'u', extra: { 'authentication.kubernetes.io/credential-id': ['JTI=1'] } } } : { authenticated: false } }
      }
      const { spec } = object as { spec: { user: string; groups: string[]; resourceAttributes: { resource: string; subresource: string; verb: string; name: string } } }
      const { resourceAttributes: a } = spec
      calls.push(`access ${spec.user} ${spec.groups.join(',')} ${a.verb} ${a.resource}/${a.subresource} ${a.name}`)
      return { status: { allowed: state.allowed.includes(a.subresource) } }
    },
  }
  const ask = createKubeletAuth({ client: client as never, nodeName: 'n1', clock, log: silentLog })
  const request = (url: string, authorization?: string) => ask({ method: 'GET', url, headers: { ...(authorization !== undefined && { authorization }) }, socket: {} } as IncomingMessage)
  return { clock, calls, state, request }
}

test('nobody is anonymous, and a token that is not known is nobody', async () => {
  const w = world(['metrics'])
  assert.deepStrictEqual([await w.request('/metrics'), await w.request('/metrics', 'Bearer bad'), await w.request('/metrics', 'Basic Z29vZA==')], Array(3).fill({ ok: false, status: 401, message: 'Unauthorized' }))
  assert.deepStrictEqual(w.calls, ['review bad'])
})

test('a token\'s user needs the subresource of the path, the finer one before the whole proxy', async () => {
  const w = world(['proxy'])
  assert.deepStrictEqual(await w.request('/pods?x=1', 'Bearer good'), { ok: true })
  assert.deepStrictEqual(await w.request('/metrics', 'Bearer good'), { ok: false, status: 403, message: 'Forbidden (user=prom, verb=get, resource=nodes, subresource(s)=[metrics])\n' })
  assert.deepStrictEqual(w.calls, ['review good', 'access prom g get nodes/pods n1', 'access prom g get nodes/proxy n1', 'access prom g get nodes/metrics n1'])
})

test('verdicts are kept: a yes for five minutes, a no for half a minute, a token for two', async () => {
  const w = world(['metrics'])
  for (let i = 0; i < 5; i++) await w.request('/metrics', 'Bearer good')
  assert.equal(w.calls.length, 2)
  await w.clock.advance(121_000)
  await w.request('/metrics', 'Bearer good')
  assert.deepStrictEqual(w.calls.slice(2), ['review good'])
  assert.equal((await w.request('/stats/summary', 'Bearer good')).ok, false)
  w.state.allowed.push('stats')
  assert.equal((await w.request('/stats/summary', 'Bearer good')).ok, false)
  await w.clock.advance(31_000)
  assert.equal((await w.request('/stats/summary', 'Bearer good')).ok, true)
})

test('while the API server is away those it vouched for are still let in, others are told why not', async () => {
  const w = world(['metrics'])
  await w.request('/metrics', 'Bearer good')
  w.state.isDown = true
  assert.deepStrictEqual([await w.request('/metrics', 'Bearer good'), await w.request('/metrics', 'Bearer other'), await w.request('/pods', 'Bearer good')], [
    { ok: true }, { ok: false, status: 401, message: 'Unauthorized' }, { ok: false, status: 500, message: 'Authorization error (user=prom, verb=get, resource=nodes, subresource=pods)' },
  ])
})
