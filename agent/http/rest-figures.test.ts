import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiRequest } from '#api/client/transport.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createRestFigures } from './rest-figures.ts'

test('requests are counted by what came of them and whom they went to, and timed until their answer begins', async () => {
  const clock = new FakeClock()
  const figures = createRestFigures(clock)
  const asked: string[] = []
  const hosts = ['10.0.0.1:6443', '10.0.0.2:6443']
  const transport = figures.counted({
    closed: () => 'no',
    async request({ path }: ApiRequest) {
      asked.push(path)
      await clock.advance(200)
      if (path === '/away') throw new Error('nobody listens')
      return { status: path === '/none' ? 404 : 200, headers: {}, body: Buffer.alloc(0) }
    },
  }, () => (asked.length > 2 ? hosts[1] : hosts[0]) ?? '')
  const ask = (method: string, path: string) => transport.request({ method, path, headers: {}, signal: new AbortController().signal }).then(({ status }) => status, (error: Error) => error.message)
  assert.deepStrictEqual([await ask('GET', '/'), await ask('GET', '/none'), await ask('GET', '/away'), await ask('PUT', '/'), transport.closed()], [200, 404, 'nobody listens', 200, 'no'])
  const [durations, total] = figures.metrics()
  assert.deepStrictEqual(total?.samples.map((s) => [...Object.values(s.labels ?? {}), s.value]), [['200', hosts[0], 'GET', 1], ['404', hosts[0], 'GET', 1], ['<error>', hosts[1], 'GET', 1], ['200', hosts[1], 'PUT', 1]])
  assert.deepStrictEqual(durations?.samples.filter((s) => s.suffix === '_sum').map((s) => [s.labels, s.value]), [[{ host: hosts[0], verb: 'GET' }, 0.4], [{ host: hosts[1], verb: 'GET' }, 0.2], [{ host: hosts[1], verb: 'PUT' }, 0.2]])
})
