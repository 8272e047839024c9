/** Tells when a streamed answer is over, however it ends. */
import type { BodyStream } from '#api/client/transport.ts'

/** `note` is called once: when the producer ends or fails, or the caller is gone. */
export function endNoted(stream: BodyStream, signal: AbortSignal, note: () => void): BodyStream {
  const state = { isOver: false }
  const over = (): void => {
    if (state.isOver) return
    state.isOver = true
    signal.removeEventListener('abort', over)
    note()
  }
  if (signal.aborted) over()
  else signal.addEventListener('abort', over, { once: true })
  return {
    start(sink) {
      stream.start({
        write: (chunk) => sink.write(chunk),
        onDrain: (fn) => sink.onDrain(fn),
        end() {
          sink.end()
          over()
        },
        fail(error) {
          sink.fail(error)
          over()
        },
      })
    },
  }
}
