import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { ProxyHealth, serveProxyHealth } from './proxy-health.ts'

const START_MS = Date.UTC(2026, 0, 1)

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function ask(port: number, path: string): Promise<[number, string]> {
  for (const giveUp = AbortSignal.timeout(5_000); ;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}${path}`)
      return [response.status, await response.text()]
    } catch (error) {
      if (giveUp.aborted) throw error
    }
  }
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
      assert.equal((await ask(port, '/healthz'))[0], 200)
      node.isEligible = false
      assert.deepEqual([(await ask(port, '/healthz'))[0], (await ask(port, '/livez'))[0], await ask(port, '/')], [503, 200, [404, '404 page not found\n']])
      health.failed()
      health.updated()
      assert.deepEqual([await ask(local, '/proxyMode'), await ask(local, '/healthz')], [[200, 'nftables'], [200, 'ok']])
      const [, text] = await ask(local, '/metrics')
      assert.match(text, /^kubeproxy_sync_proxy_rules_last_timestamp_seconds\{ip_family="IPv4"\} 1767225600$/m)
      assert.match(text, /^kubeproxy_sync_proxy_rules_nftables_sync_failures_total\{ip_family="IPv4"\} 1$/m)
    } finally {
      stop.abort()
    }
    await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`))
  })
})
