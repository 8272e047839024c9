/**
 * Which of a log's records are shown, and what of them: a block of records becomes, in its own place, the block of what is shown of them. No record
 * is an object on the way, and nothing is copied twice: what is shown of a record is always a part of it. Pure.
 */
import { CodedError } from '#base/errors.ts'
import type { LogOptions } from '../streams.ts'
import { criTimeNano } from './cri-log.ts'

const SPACE = 0x20
const NEWLINE = 0x0a
const COLON = 0x3a
const PARTIAL = 0x50
const FULL = 0x46
const STREAMS = { stdout: [...Buffer.from('stdout')], stderr: [...Buffer.from('stderr')] } as const
const STREAM_LENGTH = 6
/** Shorter pieces are moved byte by byte: a call costs more. */
const CALL_BYTES_MIN = 48

export interface Shown {
  /** So many bytes at the block's beginning are to be shown. */
  bytes: number
  /** So many bytes of the block were whole records. */
  consumed: number
  /** The limit of bytes or of lines is reached. */
  isEnough: boolean
}

/** Keeps, from block to block, what is left of the limits and whether a line goes on. Throws LOGS_INVALID. */
export function createLogFilter(options: LogOptions, nowMs: number): (block: Buffer, end: number) => Shown {
  const since = sinceNano(options, nowMs)
  const showsOut = options.stream !== 'Stderr'
  const showsErr = options.stream !== 'Stdout'
  const timestamps = options.timestamps ?? false
  let left = options.limitBytes ?? Infinity
  // As upstream: a log that grows while its tail is read gives no more lines than were asked for.
  let linesLeft = options.follow ? Infinity : (options.tailLines ?? Infinity)
  let isFresh = true

  return (block, end) => {
    let out = 0
    let at = 0
    const move = (from: number, to: number) => {
      const stop = to - from > left ? from + left : to
      left -= stop - from
      if (stop - from >= CALL_BYTES_MIN) block.copyWithin(out, from, stop)
      else for (let i = from; i < stop; i++) block[out + i - from] = block[i] ?? 0
      out += stop - from
    }
    for (let newline = block.indexOf(NEWLINE); newline >= 0 && newline < end; newline = block.indexOf(NEWLINE, at)) {
      const record = at
      at = newline + 1
      linesLeft -= 1
      const stream = afterSpace(block, record, newline)
      const tag = stream + STREAM_LENGTH + 1
      // What is no record is left out: a crash may leave half a line.
      if (stream > record && isRecord(block, tag, newline)) {
        const isShown = (showsErr && isNamed(block, stream, STREAMS.stderr)) || (showsOut && isNamed(block, stream, STREAMS.stdout))
        if (isShown && (since === undefined || (criTimeNano(block.toString('latin1', record, stream - 1)) ?? 0n) >= since)) {
          const isPartial = block[tag] === PARTIAL
          const text = afterSpace(block, tag, newline)
          if (timestamps && isFresh) move(record, stream)
          isFresh = !isPartial
          if (text > tag) move(text, isPartial ? newline : at)
          else if (!isPartial) move(newline, at)
          if (left <= 0) return { bytes: out, consumed: at, isEnough: true }
        }
      }
      if (linesLeft <= 0) return { bytes: out, consumed: at, isEnough: true }
    }
    return { bytes: out, consumed: at, isEnough: false }
  }
}

/** Where what follows the next space begins; -1: there is none before `end`. */
function afterSpace(block: Buffer, from: number, end: number): number {
  for (let i = from; i < end; i++) if (block[i] === SPACE) return i + 1
  return -1
}

/** The word of tags begins with one of two letters, on their own or before a colon, after a word as long as a stream's name. */
function isRecord(block: Buffer, tag: number, end: number): boolean {
  const after = block[tag + 1]
  return tag < end && block[tag - 1] === SPACE && (block[tag] === FULL || block[tag] === PARTIAL) && (tag + 1 === end || after === SPACE || after === COLON)
}

function isNamed(block: Buffer, from: number, name: readonly number[]): boolean {
  for (let i = 0; i < STREAM_LENGTH; i++) if (block[from + i] !== name[i]) return false
  return true
}

function sinceNano({ sinceTime, sinceSeconds }: LogOptions, nowMs: number): bigint | undefined {
  if (sinceTime !== undefined) {
    const nano = criTimeNano(sinceTime)
    if (nano === undefined) throw new CodedError('LOGS_INVALID', `sinceTime ${JSON.stringify(sinceTime)} is not an RFC 3339 time`)
    return nano
  }
  return sinceSeconds === undefined ? undefined : BigInt(Math.floor(nowMs - sinceSeconds * 1000)) * 1_000_000n
}
