import assert from 'node:assert/strict'
import { Duplex, type Readable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FrameParser, dataFrame, controlFrame, PING, words } from './frames.ts'
import { decodePairs, encodePairs, HeaderCodec } from './header-block.ts'
import { SpdySession, type SpdyStream } from './session.ts'

/** Two ends of one connection in memory. */
function pair(): [Duplex, Duplex] {
  const make = (): Duplex & { peer?: Duplex } => new Duplex({
    read() {},
    write(this: Duplex & { peer?: Duplex }, chunk: Buffer, _e, done) { this.peer?.push(chunk); done() },
    final(this: Duplex & { peer?: Duplex }, done) { this.peer?.push(null); done() },
  })
  const [a, b] = [make(), make()]
  a.peer = b
  b.peer = a
  return [a, b]
}

/** Not `for await`: that destroys a Duplex when its readable side ends. */
function text(stream: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks).toString())).on('error', reject)
  })
}

function sessions(onStream: (s: SpdyStream) => void) {
  const [a, b] = pair()
  const closed = { client: 0, server: 0 }
  const server = new SpdySession(b, { onStream, onClose: () => void closed.server++ })
  const client = new SpdySession(a, { onStream: () => assert.fail('the server opens none'), onClose: () => void closed.client++, isClient: true })
  return { client, server, closed, connection: a }
}

describe('SPDY/3.1', () => {
  it('opens no stream on a connection that is closed, which would never end; one that was being opened ends', async () => {
    const { client, closed } = sessions(() => {})
    const early = client.open({ streamtype: 'error' })
    client.close()
    const stream = await early
    assert.deepStrictEqual([stream.destroyed, closed.client], [true, 1])
    await assert.rejects(client.open({ streamtype: 'stdout' }), { code: 'SPDY_CLOSED' })
  })

  it('carries several streams with their headers, both ways, with half-close', async () => {
    const { client } = sessions((stream) => {
      void text(stream).then((said) => stream.end(`${stream.headers['streamtype']}: ${said}`))
    })
    const answers = await Promise.all(['error', 'data', 'resize'].map(async (streamtype, i) => {
      const stream = await client.open({ streamtype, port: '80', requestID: String(i) })
      stream.end('x'.repeat(100_000 * i) + streamtype)
      return text(stream)
    }))
    assert.deepEqual(answers.map((a) => [a.slice(0, 8), a.length]), [['error: e', 12], ['data: xx', 100_010], ['resize: ', 200_014]])
  })

  it('tells the reader of a stream that the peer reset it, and leaves the others alone', async () => {
    const streams: SpdyStream[] = []
    const { client } = sessions((stream) => { streams.push(stream); stream.resume() })
    const [first, second] = [await client.open({ n: '1' }), await client.open({ n: '2' })]
    first.resume()
    const gone = new Promise<void>((resolve) => first.on('close', resolve))
    second.write('hello')
    while (streams.length < 2) await new Promise((resolve) => setImmediate(resolve))
    streams[0]?.destroy()
    await gone
    assert.equal(second.destroyed, false)
  })

  for (const what of ['has ended', 'is given up'] as const) {
    it(`goes on though a stream ${what} that its reader was too slow for`, { timeout: 60_000 }, async () => {
      const slow = Promise.withResolvers<SpdyStream>()
      const { client } = sessions((stream) => {
        if (stream.headers['n'] === '1') slow.resolve(stream)
        else void text(stream).then((said) => stream.end(said))
      })
      const writer = await client.open({ n: '1' })
      writer.on('error', () => {})
      writer.write(Buffer.alloc(300_000))
      if (what === 'has ended') writer.end()
      const reader = await slow.promise
      while (reader.readableLength < 300_000) await new Promise((resolve) => setImmediate(resolve))
      const other = await client.open({ n: '2' })
      other.end('hello')
      if (what === 'is given up') reader.destroy()
      assert.equal(await text(other), 'hello')
    })
  }

  for (const what of ['ends the connection', 'resets the stream'] as const) {
    it(`lets a client read what the server had said to its end before it ${what}`, { timeout: 60_000 }, async () => {
      const over = Promise.withResolvers<void>()
      const [a, b] = pair()
      const server = new SpdySession(b, {
        onStream: (stream) => stream.end('x'.repeat(100_000), () => {
          if (what === 'resets the stream') stream.destroy()
          server.close()
        }),
        onClose: () => {},
      })
      const client = new SpdySession(a, { onStream: () => {}, onClose: () => over.resolve(), isClient: true })
      const stream = await client.open({})
      await over.promise
      assert.equal((await text(stream)).length, 100_000)
      assert.equal(stream.destroyed, true)
    })
  }

  it('closes with all its streams, once, when the connection ends', async () => {
    const { client, closed, connection } = sessions(() => {})
    const stream = await client.open({})
    stream.on('error', () => {})
    const gone = new Promise<void>((resolve) => stream.on('close', resolve))
    connection.destroy()
    await gone
    client.close()
    assert.equal(closed.client, 1)
  })

  it('ends the session on bytes that are not SPDY instead of throwing', async () => {
    const [a, b] = pair()
    const failed = new Promise<Error | undefined>((resolve) => { void new SpdySession(b, { onStream: () => {}, onClose: resolve }) })
    a.write(Buffer.from('\x80\x07GET / HTTP/1.1\r\n\r\n', 'latin1'))
    assert.match(String((await failed)?.message), /SPDY version 7 is not 3/)
  })

  it('cuts any stream of frames the same, however it arrives', () => {
    fc.assert(fc.property(fc.array(fc.record({ id: fc.integer({ min: 1, max: 9 }), data: fc.uint8Array({ maxLength: 50 }), fin: fc.boolean() }), { maxLength: 10 }), fc.integer({ min: 1, max: 30 }), (messages, step) => {
      const bytes = Buffer.concat([...messages.flatMap((m) => dataFrame(m.id, Buffer.from(m.data), m.fin)), controlFrame(PING, 0, words(7))])
      const parser = new FrameParser()
      const frames = []
      for (let at = 0; at < bytes.length; at += step) frames.push(...parser.push(bytes.subarray(at, at + step)))
      assert.deepEqual(frames.map((f) => (f.kind === 'data' ? [f.streamId, f.fin, [...f.data]] : [f.type])), [...messages.map((m) => [m.id, m.fin, [...m.data]]), [PING]])
    }))
  })

  it('keeps header blocks apart over one long-lived compressor', async () => {
    const [sender, receiver] = [new HeaderCodec(), new HeaderCodec()]
    for (let i = 0; i < 50; i++) {
      const headers = { streamtype: i % 2 ? 'data' : 'error', port: '8080', requestid: String(i) }
      assert.deepEqual(await receiver.decompress(await sender.compress(headers)), headers)
    }
    sender.close()
    receiver.close()
  })

  it('refuses malformed header blocks', () => {
    assert.deepEqual(decodePairs(encodePairs({ A: 'b' })), { a: 'b' })
    assert.throws(() => decodePairs(Buffer.from([0, 0, 0, 1, 0, 0, 1, 0])), /longer than the block/)
    assert.throws(() => decodePairs(Buffer.from([255, 255, 255, 255])), /claims/)
  })
})
