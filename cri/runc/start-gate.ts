/**
 * Lets a created container go. runc's waits in opening `exec.fifo` of its state directory for writing: whoever opens it for reading and
 * takes the byte that comes has started it. Then the file goes, so that nobody starts it again. That is all of `runc start`, without a program.
 */
import { constants, openSync, readSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'

/** As long as nobody comes to the gate: has it died on the way there? */
const LIVENESS_MS = 100

/** `isAlive` tells of the container's first process. Throws CRI_FAILED, in runc's words, when it has been started before or has died. */
export async function openStartGate(path: string, isAlive: () => boolean, clock: Clock): Promise<void> {
  let fd: number
  try {
    // Without blocking: there need not be a writer yet.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw new CodedError('CRI_FAILED', 'cannot start a container that has stopped or is running already', { cause: error })
    throw error
  }
  await firstByte(fd, isAlive, clock)
  await rm(path, { force: true })
}

async function firstByte(fd: number, isAlive: () => boolean, clock: Clock): Promise<void> {
  const gate = new Socket({ fd, readable: true, writable: false })
  let cancel = () => {}
  try {
    await new Promise<void>((resolve, reject) => {
      const dead = () => reject(new CodedError('CRI_FAILED', 'container process is already dead'))
      const look = () => {
        if (isAlive()) cancel = clock.after(LIVENESS_MS, look)
        // It may have come, gone on and ended while this process was busy elsewhere: its byte waits then.
        else if (hasByte(fd)) resolve()
        else dead()
      }
      cancel = clock.after(LIVENESS_MS, look)
      gate.once('data', () => resolve())
      gate.once('end', dead)
      gate.once('error', reject)
    })
  } finally {
    cancel()
    gate.destroy()
  }
}

function hasByte(fd: number): boolean {
  try {
    return readSync(fd, Buffer.alloc(1)) > 0
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return false
    throw error
  }
}
