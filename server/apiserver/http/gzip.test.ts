import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { writeGzipped } from './gzip.ts'

/** Takes `roomBytes` at a time and tells what it got. */
class Client extends Writable {
  readonly parts: Buffer[] = []
  constructor(roomBytes = 16 * 1024) { super({ highWaterMark: roomBytes }) }
  override _write(part: Buffer, _encoding: string, done: () => void): void {
    this.parts.push(part)
    setImmediate(done)
  }
}

const sentTo = async (chunks: readonly Buffer[], client = new Client()): Promise<Client> => {
  const finished = new Promise((resolve) => client.on('finish', resolve))
  await writeGzipped(client, chunks)
  await finished
  return client
}

/** Sizes on both sides of what is compressed by itself. */
const chunk = fc.tuple(fc.oneof(fc.nat(300), fc.integer({ min: 60_000, max: 70_000 }), fc.constant(65_536)), fc.nat(255), fc.boolean())
  .map(([size, from, isEven]) => Buffer.from(Uint8Array.from({ length: size }, (_, i) => (isEven ? from : (from + i * i) % 251))))

describe('a compressed answer', () => {
  test('is one gzip member of all chunks, in any answer that they are part of', async () => {
    await fc.assert(fc.asyncProperty(fc.array(chunk, { maxLength: 8 }), fc.array(fc.nat(7), { maxLength: 8 }), async (chunks, picked) => {
      for (const answer of [chunks, picked.flatMap((i) => chunks[i] ?? []), chunks]) {
        const { parts } = await sentTo(answer)
        assert.deepEqual(gunzipSync(Buffer.concat(parts)), Buffer.concat(answer))
      }
    }), { numRuns: 60 })
  })

  test('has the same bytes for a large chunk, not only equal ones, when the chunk comes again', async () => {
    const large = Buffer.alloc(100_000, 'skiff')
    const [first, second] = [await sentTo([large]), await sentTo([Buffer.from('before it'), large])]
    assert.equal(first.parts[1], second.parts[2])
  })

  test('ends when its client goes, in the middle too', async () => {
    const chunks = Array.from({ length: 4 }, (_, i) => Buffer.alloc(70_000, String(i)))
    const gone = new Client(1)
    gone.on('error', () => {})
    const sent = writeGzipped(gone, chunks)
    gone.once('drain', () => gone.destroy())
    await sent
    assert.ok(gone.parts.length < 6)
  })
})
