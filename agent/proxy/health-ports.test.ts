import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import { silentLog } from '#base/log.ts'
import { healthCheckOf, HealthPorts } from './health-ports.ts'
import { ask, freePort } from './testing/asking.ts'
import { service, slice } from './testing/fixtures.ts'

const local = (port: number) => service({ name: 'web', spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: port, ports: [{ port: 80 }] } })
const endpoint = (address: string, nodeName: string, conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean }) => ({ addresses: [address], nodeName, ...(conditions && { conditions }) })

async function answer(port: number): Promise<[number, string | null, string]> {
  const { status, headers, text } = await ask(port, '/healthz')
  return [status, headers.get('x-load-balancing-endpoint-weight'), text]
}

describe('health check node ports', () => {
  test('count the ready addresses of this node, each once, of Services whose traffic stays on it', () => {
    const slices = [
      slice({ service: 'web', endpoints: [endpoint('10.0.0.1', 'here'), endpoint('10.0.0.2', 'here', { ready: true }), endpoint('10.0.1.1', 'there')] }),
      slice({ service: 'web', name: 'web-y', endpoints: [endpoint('10.0.0.1', 'here'), endpoint('10.0.0.3', 'here', { ready: false, serving: true, terminating: true })] }),
    ]
    assert.deepEqual(healthCheckOf(local(30123), slices, 'here'), { port: 30123, localEndpoints: 2 })
    assert.deepEqual(healthCheckOf(local(30123), slices, 'nowhere'), { port: 30123, localEndpoints: 0 })
    assert.equal(healthCheckOf(service({ name: 'web', spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Cluster' } }), slices, 'here'), undefined)
    assert.equal(healthCheckOf(service({ name: 'web' }), slices, 'here'), undefined)
  })

  test('answer 200 while there are any, 503 when there are none or the rules are behind, and nothing once the Service is gone', async () => {
    const rules = { areBehind: false }
    const ports = new HealthPorts({ log: silentLog, isHealthy: () => !rules.areBehind })
    const [port, other] = [await freePort(), await freePort()]
    try {
      ports.set('default/web', { service: local(port), check: { port, localEndpoints: 1 } })
      assert.deepEqual(await answer(port), [200, '1', '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n\t"localEndpoints": 1,\n\t"serviceProxyHealthy": true\n}'])
      rules.areBehind = true
      assert.equal((await answer(port))[0], 503)
      rules.areBehind = false
      ports.set('default/web', { service: local(port), check: { port, localEndpoints: 0 } })
      assert.deepEqual((await answer(port)).slice(0, 2), [503, '0'])
      ports.set('default/web', { service: local(other), check: { port: other, localEndpoints: 2 } })
      assert.deepEqual((await answer(other)).slice(0, 2), [200, '2'])
      await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`))
      ports.set('default/web', undefined)
      await assert.rejects(fetch(`http://127.0.0.1:${other}/healthz`))
    } finally {
      ports.close()
    }
  })

  test('tell of a port that somebody else has, and try again with the next change', async () => {
    const taken = createServer().listen(0, '0.0.0.0')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const failure = Promise.withResolvers<string>()
    const ports = new HealthPorts({ log: silentLog, isHealthy: () => true, failed: (_, message) => failure.resolve(message) })
    try {
      const wanted = { service: local(port), check: { port, localEndpoints: 1 } }
      ports.set('default/web', wanted)
      assert.match(await failure.promise, new RegExp(`^failed to start healthcheck "default/web" on port ${port}: .*EADDRINUSE`))
      taken.close()
      await once(taken, 'close')
      ports.set('default/web', wanted)
      assert.equal((await answer(port))[0], 200)
    } finally {
      ports.close()
    }
  })
})
