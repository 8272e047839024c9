/** The node's port for its health, on a real port. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { createLog } from '#base/log.ts'
import { freePort } from '../proxy/testing/asking.ts'
import { serveHealthPort } from './health-port.ts'

test('this machine is told that the agent answers, as a kubelet tells it on 10248', async (t) => {
  const port = await freePort()
  serveHealthPort({ host: '127.0.0.1', port }, createLog({ nowMs: () => 0, level: 'info', format: 'text', write: () => {} }), t.signal)
  const ask = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method })
    return [answer.status, await answer.text()]
  }
  assert.deepStrictEqual(await ask('/healthz'), [200, 'ok'])
  assert.deepStrictEqual(await ask('/healthz', 'HEAD'), [200, ''])
  assert.deepStrictEqual(await ask('/healthz?verbose'), [200, '[+]ping ok\nhealthz check passed\n'])
  assert.deepStrictEqual(await ask('/healthz/ping'), [200, 'ok'])
  for (const path of ['/healthz/syncloop', '/pods', '/', '//x/healthz']) assert.deepStrictEqual(await ask(path), [404, '404 page not found\n'], path)
})

test('a port that is taken is told once, with the flag that mends it', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const told = Promise.withResolvers<string>()
  const log = createLog({ nowMs: () => 0, level: 'info', format: 'text', write: (line) => told.resolve(line) })
  serveHealthPort({ host: '127.0.0.1', port }, log, t.signal)
  assert.match(await told.promise, new RegExp(`cannot be served there: pass --healthz-port.*port=${port}.*EADDRINUSE`))
})
