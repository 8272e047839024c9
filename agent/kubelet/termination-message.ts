/** What a container said at its end: its message file, or by policy the last of its log (upstream's getTerminationMessage). */
import { open, type FileHandle } from 'node:fs/promises'
import { hasCode } from '#base/errors.ts'
import type { ContainerStatus } from '#cri/index.ts'
import { TERMINATION_POLICY_ANNOTATION } from './labels.ts'
import { parseCriLine } from './logs/cri-log.ts'
import { tailOffset } from './logs/tail-file.ts'

const MESSAGE_BYTES_MAX = 4_096
/** Of all containers of a pod together; each has its equal share. */
const POD_BYTES_MAX = 12 * 1024
const LOG_BYTES_MAX = 2_048
const LOG_LINES_MAX = 80

/** `containers`: how many of any kind the pod has. */
export async function terminationMessage(container: ContainerStatus, messagePath: string, containers: number): Promise<string> {
  const share = Math.floor(POD_BYTES_MAX / Math.max(1, containers))
  const message = await readStart(messagePath, Math.min(MESSAGE_BYTES_MAX, share))
  if (message !== '' || container.exitCode === 0 || container.annotations[TERMINATION_POLICY_ANNOTATION] !== 'FallbackToLogsOnError') return message
  return logTail(container.logPath, Math.min(LOG_BYTES_MAX, share))
}

async function logTail(path: string, bytesMax: number): Promise<string> {
  return withFile(path, async (file) => {
    const from = await tailOffset(file, LOG_LINES_MAX)
    const { size } = await file.stat()
    const start = Math.max(from, size - LOG_LINES_MAX * LOG_BYTES_MAX)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start)
    const text: Buffer[] = []
    for (let at = 0; at < bytesRead;) {
      const end = buffer.indexOf(0x0a, at)
      const line = parseCriLine(buffer.subarray(at, end < 0 ? bytesRead : end))
      if (line) text.push(line.text, Buffer.from(line.partial ? '' : '\n'))
      at = end < 0 ? bytesRead : end + 1
    }
    // The start of what there is, as upstream cuts it when many share.
    return Buffer.concat(text).subarray(-LOG_BYTES_MAX).subarray(0, bytesMax).toString('utf8')
  })
}

async function readStart(path: string, bytes: number): Promise<string> {
  return withFile(path, async (file) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0)
    return buffer.subarray(0, bytesRead).toString('utf8')
  })
}

/** '' when there is no such file. */
async function withFile(path: string, read: (file: FileHandle) => Promise<string>): Promise<string> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return ''
    throw error
  }
  try {
    return await read(file)
  } finally {
    await file.close()
  }
}
