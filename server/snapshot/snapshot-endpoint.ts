/**
 * `GET /db/snapshot` (k3s's path): a snapshot of this server, as it is taken. For system:masters alone, whatever roles say: it
 * holds every Secret. One at a time: each reads the whole store.
 */
import type { BodyStream } from '#api/client/transport.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { PathHandler } from '../apiserver/discovery/paths.ts'
import { forbiddenPath, methodNotAllowed, StatusError } from '../apiserver/http/status.ts'
import { takeSnapshot, type SnapshotSource } from './take-snapshot.ts'

export const SNAPSHOT_PATH = '/db/snapshot'
/** Of the answer: the server's name. */
export const NODE_HEADER = 'skiff-node'
const MASTERS = 'system:masters'

export function snapshotEndpoint(source: SnapshotSource, log: Log): PathHandler {
  const state = { isBusy: false }
  return ({ method, user, signal }) => {
    if (method !== 'GET') throw methodNotAllowed()
    if (!user.groups.includes(MASTERS)) throw forbiddenPath(`User ${JSON.stringify(user.name)} cannot get path ${JSON.stringify(SNAPSHOT_PATH)}: only members of ${MASTERS} may, because a snapshot holds every Secret`)
    if (state.isBusy) throw new StatusError({ code: 429, reason: 'TooManyRequests', message: 'another snapshot is being taken: try again in a moment', details: { retryAfterSeconds: 5 } })
    state.isBusy = true
    const release = () => { state.isBusy = false }
    // Gone before it was sent anything.
    signal.addEventListener('abort', release, { once: true })
    const body = streamed(takeSnapshot(source), signal, (error) => {
      signal.removeEventListener('abort', release)
      release()
      if (error && !signal.aborted) log.error('a snapshot could not be taken', { error })
    })
    return { status: 200, headers: { 'content-type': 'application/octet-stream', [NODE_HEADER]: source.node }, body }
  }
}

/** `onEnd` is called once, however it ends. */
function streamed(source: AsyncGenerator<Buffer>, signal: AbortSignal, onEnd: (error?: Error) => void): BodyStream {
  return {
    start(sink) {
      const waiting: { wake: () => void } = { wake: () => { /* nobody waits */ } }
      sink.onDrain(() => waiting.wake())
      signal.addEventListener('abort', () => waiting.wake(), { once: true })
      const send = async () => {
        for await (const chunk of source) {
          if (signal.aborted) return
          if (!sink.write(chunk)) await new Promise<void>((resolve) => { waiting.wake = resolve })
        }
      }
      send().then(() => {
        onEnd()
        if (!signal.aborted) sink.end()
      }, (error: unknown) => {
        onEnd(asError(error))
        sink.fail(asError(error))
      })
    },
  }
}
