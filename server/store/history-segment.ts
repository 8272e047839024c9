/** Some events of history as bytes, for the disk: compressed, as versions of an object are much alike, with zstd's own checksum. */
import { constants, zstdCompress, zstdDecompressSync } from 'node:zlib'
import { decodeState, encodeState } from './level-codec.ts'
import type { KeyValue, WatchEvent } from './store.ts'

const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } }

/** Per event: revision, key, what it became, what it was, each with its length before it; 0 where there is nothing. */
export function encodeSegment(events: readonly WatchEvent[]): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (const { key, revision, current, previous } of events) {
    const name = Buffer.from(key)
    const [now, then] = [current ? encodeState(current) : NOTHING, previous ? encodeState(previous) : NOTHING]
    const head = Buffer.allocUnsafe(HEAD_BYTES)
    head.writeUIntBE(revision, 0, 6)
    head.writeUInt32BE(name.length, 6)
    head.writeUInt32BE(now.length, 10)
    head.writeUInt32BE(then.length, 14)
    pieces.push(head, name, now, then)
  }
  return new Promise((resolve, reject) => {
    zstdCompress(Buffer.concat(pieces), FAST, (error, compressed) => (error ? reject(error) : resolve(compressed)))
  })
}

/** Throws where it is not what was encoded. */
export function decodeSegment(segment: Buffer): WatchEvent[] {
  const bytes = zstdDecompressSync(segment)
  const events: WatchEvent[] = []
  for (let at = 0; at < bytes.length;) {
    const revision = bytes.readUIntBE(at, 6)
    const keyAt = at + HEAD_BYTES
    const currentAt = keyAt + bytes.readUInt32BE(at + 6)
    const previousAt = currentAt + bytes.readUInt32BE(at + 10)
    const key = bytes.toString('utf8', keyAt, currentAt)
    at = previousAt + bytes.readUInt32BE(at + 14)
    const current = stateOf(key, bytes.subarray(currentAt, previousAt))
    events.push({ kind: current ? 'put' : 'delete', key, revision, current, previous: stateOf(key, bytes.subarray(previousAt, at)) })
  }
  return events
}

const HEAD_BYTES = 18
const NOTHING = Buffer.alloc(0)

const stateOf = (key: string, bytes: Buffer): KeyValue | undefined => (bytes.length === 0 ? undefined : decodeState(key, bytes))
