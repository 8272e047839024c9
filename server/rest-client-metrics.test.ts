import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiResponse } from '#api/client/transport.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { printMetrics } from '#base/metrics.ts'
import { RestClientMetrics } from './rest-client-metrics.ts'

test('requests are counted by what they were answered, timed by their verb, and answered as before', async () => {
  const clock = new FakeClock()
  const metrics = new RestClientMetrics(clock, '127.0.0.1:6443')
  const answer: ApiResponse = { status: 409, headers: {}, body: Buffer.alloc(0) }
  const transport = metrics.of({
    async request({ path }) {
      await clock.advance(50)
      if (path === '/gone') throw new Error('gone')
      return answer
    },
  })
  const ask = (method: string, path: string) => transport.request({ method, path, headers: {}, signal: new AbortController().signal })
  assert.equal(await ask('PUT', '/a'), answer)
  await ask('PUT', '/b')
  await assert.rejects(ask('GET', '/gone'), { message: 'gone' })
  const lines = printMetrics(metrics.all()).toString().split('\n')
  assert.deepEqual(lines.filter((line) => /^rest_client_(requests_total|request_duration_seconds_(sum|count|bucket\{.*PUT",le="0\.(025|1)"))/.test(line)), [
    'rest_client_requests_total{code="409",host="127.0.0.1:6443",method="PUT"} 2', 'rest_client_requests_total{code="<error>",host="127.0.0.1:6443",method="GET"} 1',
    'rest_client_request_duration_seconds_bucket{host="127.0.0.1:6443",verb="PUT",le="0.025"} 0', 'rest_client_request_duration_seconds_bucket{host="127.0.0.1:6443",verb="PUT",le="0.1"} 2',
    'rest_client_request_duration_seconds_sum{host="127.0.0.1:6443",verb="PUT"} 0.1', 'rest_client_request_duration_seconds_count{host="127.0.0.1:6443",verb="PUT"} 2',
    'rest_client_request_duration_seconds_sum{host="127.0.0.1:6443",verb="GET"} 0.05', 'rest_client_request_duration_seconds_count{host="127.0.0.1:6443",verb="GET"} 1',
  ])
})
