import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { WebSocket } from 'ws'
import { served, type Served } from '../http-server.test-support.ts'
import { rows } from '../registry.ts'

const open: Served[] = []
after(async () => { for (const one of open) await one.http.close() })

async function watching(query: string, headers: Record<string, string> = {}, protocols: string[] = []) {
  const s = open[0] ?? await served({ rows, authenticator: { authenticate: ({ bearer, certificate }) => Promise.resolve(bearer === 'good' || certificate ? { ok: true, user: { name: 'admin', groups: ['system:masters'] } } : { ok: false, why: 'none' }) } })
  if (open.length === 0) {
    open.push(s)
    await s.call('POST', '/api/v1/namespaces', { metadata: { name: 'default' } })
  }
  const socket = new WebSocket(`wss://127.0.0.1:${s.port}/api/v1/namespaces/default/configmaps?${query}`, protocols, { ca: s.ca, ...s.admin, headers })
  const messages: { data: Buffer; isBinary: boolean }[] = []
  const waiting = new Set<() => void>()
  socket.on('message', (data, isBinary) => { messages.push({ data: data as Buffer, isBinary }); for (const wake of waiting) wake() })
  return {
    s, socket, messages,
    count: async (n: number): Promise<void> => { while (messages.length < n) await new Promise<void>((resolve) => { const wake = () => { waiting.delete(wake); resolve() }; waiting.add(wake) }) },
  }
}

test('a watch over WebSocket sends each event as a message and ends when the client closes', { timeout: 180_000 }, async () => {
  const { s, socket, messages, count } = await watching('watch=1&resourceVersion=0')
  await once(socket, 'open')
  const path = '/api/v1/namespaces/default/configmaps'
  await s.call('POST', path, { metadata: { name: 'a' } })
  await s.call('POST', path, { metadata: { name: 'b' } })
  await s.call('DELETE', `${path}/a`)
  await count(3)
  assert.deepStrictEqual(messages.map(({ data, isBinary }) => {
    const event = JSON.parse(data.toString()) as { type: string; object: { kind: string; metadata: { name: string } } }
    return [isBinary, data.at(-1) === 0x0a, event.type, event.object.kind, event.object.metadata.name]
  }), [[false, true, 'ADDED', 'ConfigMap', 'a'], [false, true, 'ADDED', 'ConfigMap', 'b'], [false, true, 'DELETED', 'ConfigMap', 'a']])
  socket.close()
  await once(socket, 'close')
  await s.call('DELETE', `${path}/b`)
})

test('it ends by itself when its time is over; protobuf comes as binary messages; a token among the sub-protocols is not told back', { timeout: 180_000 }, async () => {
  const { s, socket, messages } = await watching('watch=1&timeoutSeconds=1', { accept: 'application/vnd.kubernetes.protobuf' }, ['base64url.bearer.authorization.k8s.io.Z29vZA', 'mine'])
  await s.call('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'c' } })
  const [code] = await once(socket, 'close') as [number]
  assert.deepStrictEqual([code, socket.protocol, messages.map(({ isBinary, data }) => [isBinary, data.includes('ADDED'), data.includes('default')])], [1000, 'mine', [[true, true, true]]])
})

test('what cannot be watched is refused as over HTTP', { timeout: 180_000 }, async () => {
  const { socket } = await watching('watch=1&fieldSelector=nothing')
  const [, response] = await once(socket, 'unexpected-response') as [unknown, { statusCode: number }]
  assert.equal(response.statusCode, 400)
})
