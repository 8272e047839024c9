/**
 * What exec and attach speak to a client, whatever the wire: named byte streams and a final Status. `runSession` moves
 * the bytes; exec-websocket.ts and exec-spdy.ts are the wires.
 */
import type { Readable, Writable } from 'node:stream'
import { failureStatus, statusOf } from './exec-status.ts'
import type { IoSession, TerminalSize } from '../runtime.ts'

/** What the client asked for. */
export interface StreamFlags { stdin: boolean; stdout: boolean; stderr: boolean; tty: boolean }

export interface ClientChannels {
  /** Undefined where the client did not ask for it. Ends when the client closes it. */
  stdin: Readable | undefined
  stdout: Writable | undefined
  stderr: Writable | undefined
  /** Sizes as they arrive. */
  onResize(listener: (size: TerminalSize) => void): void
  /** The client is gone. */
  onGone(listener: () => void): void
  /** Sends the final status and closes in order. Nothing is sent after it. */
  finish(status: object): Promise<void>
}

/** Connects a session to a client until the command has ended and its output is delivered, or the client is gone. */
export async function runSession(kind: 'exec' | 'attach', open: () => Promise<IoSession>, client: ClientChannels): Promise<void> {
  let session: IoSession
  try {
    session = await open()
  } catch (error) {
    await client.finish(failureStatus(error, kind))
    return
  }
  client.onGone(() => session.close())
  client.onResize((size) => session.resize(size))
  if (client.stdin && session.stdin) connect(client.stdin, session.stdin)
  else client.stdin?.resume()
  const outputs = Promise.all([deliver(session.stdout, client.stdout), deliver(session.stderr, client.stderr)])
  try {
    const exitCode = await session.done
    await outputs
    await client.finish(statusOf({ exitCode }))
  } catch (error) {
    await client.finish(failureStatus(error, kind))
  } finally {
    session.close()
  }
}

/** With back-pressure; a command that no longer reads its input does not end the session. */
function connect(from: Readable, to: Writable): void {
  to.on('error', () => from.resume()).on('close', () => from.resume())
  from.pipe(to)
}

/** Resolves when `from` has ended and all of it was taken. */
function deliver(from: Readable | undefined, to: Writable | undefined): Promise<void> {
  if (!from) return Promise.resolve()
  return new Promise((resolve) => {
    from.on('end', resolve).on('close', resolve).on('error', () => resolve())
    if (!to) {
      from.resume()
      return
    }
    to.on('error', () => from.resume())
    from.on('data', (chunk: Buffer) => {
      if (!to.destroyed && !to.write(chunk)) {
        from.pause()
        to.once('drain', () => from.resume())
        to.once('close', () => from.resume())
      }
    })
  })
}
