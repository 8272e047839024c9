import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { connect, createServer as createTcp, type AddressInfo, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { systemClock } from '../clock.ts'
import { decode, encode, message, string, type Read, type Written } from '../protobuf/message.ts'
import type { Call } from './call.ts'
import { GrpcClient, type GrpcClientOptions } from './grpc-client.ts'
import { frame, GRPC, GrpcError, Unframer } from './grpc-status.ts'

const Text = message({ text: string(1) })
const ECHO: Call<Read<typeof Text>, Read<typeof Text>, Written<typeof Text>, Written<typeof Text>> = { path: '/test.Echo/Echo', request: Text, response: Text }

async function withServer(serve: (stream: ServerHttp2Stream) => void, run: (port: number, server: Http2Server) => Promise<void>): Promise<void> {
  const server = createServer()
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', (session) => { sessions.add(session) })
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.on('error', () => { /* the client went */ })
    serve(stream)
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  try {
    await run((server.address() as AddressInfo).port, server)
  } finally {
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => { server.close(resolve) })
  }
}

const clientOf = (port: number, more: Partial<GrpcClientOptions> = {}) => new GrpcClient({ endpoint: { host: '127.0.0.1', port, tls: undefined }, peer: 'the echo', clock: systemClock, ...more })

/** Answers each message with itself, until the client ends. */
function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  const unframer = new Unframer()
  stream.on('data', (chunk: Buffer) => { for (const each of unframer.push(chunk)) stream.write(frame(encode(Text, decode(Text, each)))) })
  stream.on('end', () => stream.end())
}

describe('a gRPC client', () => {
  it('speaks and listens on one stream, in turns, until it has said all', async () => {
    await withServer(echo, async (port) => {
      const client = clientOf(port, { metadata: { hasleader: 'true' } })
      const heard: string[] = []
      const three = Promise.withResolvers<void>()
      const stream = await client.open(ECHO, ({ text }) => {
        heard.push(text)
        if (heard.length < 3) stream.send({ text: `${text}!` })
        else three.resolve()
      })
      stream.send({ text: 'a' })
      await three.promise
      stream.end()
      await stream.over
      assert.deepEqual(heard, ['a', 'a!', 'a!!'])
      client.close()
    })
  })

  it('tells what was never sent from what may have been done', async () => {
    const nobody = clientOf(1)
    await assert.rejects(nobody.unary(ECHO, {}, { timeoutMs: 60_000 }), (e) => e instanceof GrpcError && e.status === GRPC.unavailable && !e.wasSent && e.message.startsWith('cannot reach the echo at http://127.0.0.1:1: '))
    await withServer((stream) => { stream.close(7) }, async (port) => {
      const client = clientOf(port)
      await assert.rejects(client.unary(ECHO, {}, { timeoutMs: 60_000 }), (e) => e instanceof GrpcError && e.status === GRPC.unavailable && !e.wasSent)
      client.close()
    })
    await withServer((stream) => { stream.session?.destroy() }, async (port) => {
      const client = clientOf(port)
      await assert.rejects(client.unary(ECHO, {}, { timeoutMs: 60_000 }), (e) => e instanceof GrpcError && e.status === GRPC.unavailable && e.wasSent)
      client.close()
    })
  })

  it('is cancelled also while it only connects: nothing is asked, nobody waits', async () => {
    let asked = 0
    await withServer((stream) => { asked++; echo(stream) }, async (port) => {
      const client = clientOf(port)
      const stop = new AbortController()
      const call = client.unary(ECHO, { text: 'a' }, { timeoutMs: 60_000, signal: stop.signal })
      // The connection takes at least a turn of the loop.
      stop.abort()
      await assert.rejects(call, (e) => e instanceof GrpcError && e.status === GRPC.cancelled && !e.wasSent)
      assert.equal(asked, 0)
      client.close()
    })
  })

  it('says at once of a socket whose path is too long that it cannot be reached', async () => {
    const client = new GrpcClient({ endpoint: { socketPath: `/tmp/${'long-'.repeat(21)}` }, peer: 'the echo', clock: systemClock })
    await assert.rejects(client.unary(ECHO, { text: 'a' }, { timeoutMs: 60_000 }), (e) => e instanceof GrpcError && e.status === GRPC.unavailable && !e.wasSent && e.message.endsWith(': the path of a socket has 107 bytes at most'))
    client.close()
  })

  it('gives up a server that fell silent under an open call, and reaches it anew', async () => {
    await withServer(echo, async (port) => {
      // A way that can be clogged: connected, and nothing comes through.
      const open = new Set<Socket>()
      const sent = new EventEmitter()
      const proxy = createTcp((socket) => {
        socket.on('data', () => sent.emit('data'))
        const to = connect(port, '127.0.0.1')
        for (const s of [socket, to]) { open.add(s); s.on('error', () => { /* ended below */ }) }
        socket.pipe(to).pipe(socket)
      })
      await new Promise<void>((resolve) => { proxy.listen(0, '127.0.0.1', resolve) })
      const client = clientOf((proxy.address() as AddressInfo).port, { silenceMsMax: 1_000 })
      try {
        const heard = Promise.withResolvers<void>()
        const stream = await client.open(ECHO, () => heard.resolve())
        stream.send({ text: 'a' })
        await heard.promise
        // While it is only quiet it answers pings, and the call stays: each ping is sent because the one before was answered.
        for (let pings = 0; pings < 3; pings++) await once(sent, 'data')
        for (const socket of open) { socket.unpipe(); socket.pause() }
        await assert.rejects(stream.over, (e) => e instanceof GrpcError && e.status === GRPC.unavailable)
        assert.deepEqual(await client.unary(ECHO, { text: 'again' }, { timeoutMs: 60_000 }), { text: 'again' })
      } finally {
        client.close()
        for (const socket of open) socket.destroy()
        await new Promise((resolve) => { proxy.close(resolve) })
      }
    })
  })
})
