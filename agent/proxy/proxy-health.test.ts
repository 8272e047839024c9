import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { ProxyHealth, serveProxyHealth } from './proxy-health.ts'
import { ask, freePort } from './testing/asking.ts'

const START_MS = Date.UTC(2026, 0, 1)

async function answer(port: number, path: string): Promise<[number, string]> {
  const { status, text } = await ask(port, path)
  return [status, text]
}

describe('the health of the Service proxy', () => {
  test('is fine while nothing waits for longer than a minute', async () => {
    const clock = new FakeClock(START_MS)
    const health = new ProxyHealth(clock)
    assert.deepEqual(health.report(true), { code: 200, body: '{"lastUpdated":"2026-01-01T00:00:00.000Z","currentTime":"2026-01-01T00:00:00.000Z","nodeEligible":true,"healthy":true}' })
    health.queued()
    health.updated()
    await clock.advance(90_000)
    assert.equal(health.isHealthy, true)
    health.queued()
    await clock.advance(30_000)
    health.queued()
    assert.equal(health.isHealthy, true)
    await clock.advance(30_000)
    assert.deepEqual(health.report(), { code: 503, body: '{"lastUpdated":"2026-01-01T00:00:00.000Z","currentTime":"2026-01-01T00:02:30.000Z","healthy":false,"status":{"IPv4":{"lastUpdated":"2026-01-01T00:00:00.000Z","healthy":false}}}' })
    health.updated()
    assert.equal(health.report().code, 200)
    assert.equal(health.report(false).code, 503)
  })

  test('is served to load balancers, and with mode and metrics to the machine itself', async () => {
    const health = new ProxyHealth(new FakeClock(START_MS))
    const node = { isEligible: true }
    const stop = new AbortController()
    const [port, local] = [await freePort(), await freePort()]
    serveProxyHealth(health, { health: { host: '127.0.0.1', port }, local: { host: '127.0.0.1', port: local } }, { isNodeEligible: () => node.isEligible, log: silentLog }, stop.signal)
    try {
      assert.equal((await answer(port, '/healthz'))[0], 200)
      node.isEligible = false
      assert.deepEqual([(await answer(port, '/healthz'))[0], (await answer(port, '/livez'))[0], await answer(port, '/')], [503, 200, [404, '404 page not found\n']])
      health.failed()
      health.updated()
      assert.deepEqual([await answer(local, '/proxyMode'), await answer(local, '/healthz')], [[200, 'nftables'], [200, 'ok']])
      const [, text] = await answer(local, '/metrics')
      assert.match(text, /^kubeproxy_sync_proxy_rules_last_timestamp_seconds\{ip_family="IPv4"\} 1767225600$/m)
      assert.match(text, /^kubeproxy_sync_proxy_rules_nftables_sync_failures_total\{ip_family="IPv4"\} 1$/m)
    } finally {
      stop.abort()
    }
    await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`))
  })
})
