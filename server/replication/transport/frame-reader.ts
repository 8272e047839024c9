/** Cuts what comes in on a stream into frames. Nothing is looked into before its length is known to be allowed. */
import { CodedError } from '#base/errors.ts'
import { FRAME_BYTES_MAX, FRAME_HEAD_BYTES } from './codec.ts'

export interface FrameReader {
  /** Calls back for each frame that is whole, in order. Throws `PEER_MALFORMED`, after which it must not be used again. */
  push(data: Buffer): void
}

/** `body` is the receiver's to keep. */
export function createFrameReader(onFrame: (kind: number, body: Buffer) => void, bytesMax = FRAME_BYTES_MAX): FrameReader {
  let pieces: Buffer[] = []
  let held = 0
  /** Of the frame that has begun, head included; 0: its head is not whole yet. */
  let wanted = 0
  return {
    push(data) {
      let rest = data
      while (rest.length > 0) {
        const take = rest.subarray(0, (wanted === 0 ? FRAME_HEAD_BYTES : wanted) - held)
        pieces.push(take)
        held += take.length
        rest = rest.subarray(take.length)
        if (wanted === 0 && held === FRAME_HEAD_BYTES) {
          const length = Buffer.concat(pieces).readUInt32BE(0)
          if (length < 1 || length > bytesMax) throw new CodedError('PEER_MALFORMED', `a message of another server is malformed: it is ${length} bytes long, at most ${bytesMax} are taken`)
          wanted = FRAME_HEAD_BYTES - 1 + length
        }
        if (held !== wanted) continue
        // A copy: entries may be kept for long, and must not hold on to all that came with them.
        const frame = Buffer.concat(pieces)
        pieces = []
        held = 0
        wanted = 0
        onFrame(frame.readUInt8(FRAME_HEAD_BYTES - 1), frame.subarray(FRAME_HEAD_BYTES))
      }
    },
  }
}
