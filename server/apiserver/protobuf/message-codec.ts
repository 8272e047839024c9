/** A message as a field of another: read from the wire, written from an object or from JSON text. */
import type { MessagePlan, ValueCodec } from './codec.ts'
import { KIND } from './json-tape.ts'
import { readMessage, writeMessage } from './message.ts'
import { transcodeMessage } from './transcode.ts'

/** `plan` is asked for when one is met: types may contain themselves. */
export function messageCodec(plan: () => MessagePlan): ValueCodec {
  return {
    wire: 2,
    read: (reader, before) => {
      const outer = reader.open()
      const value = readMessage(reader, plan(), (before ?? {}) as Record<string, unknown>)
      reader.close(outer)
      return value
    },
    write: (writer, value) => {
      const before = writer.size
      writeMessage(writer, plan(), value as Record<string, unknown>)
      writer.length(before)
    },
    transcode: (writer, tape, node) => {
      if (tape.kind(node) !== KIND.object) return false
      const before = writer.size
      transcodeMessage(writer, plan(), tape, node)
      writer.length(before)
      return true
    },
  }
}
