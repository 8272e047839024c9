/** The end of a file, read backwards in blocks: cost follows what is asked for, not the file's size. */
import type { FileHandle } from 'node:fs/promises'

const BLOCK_BYTES = 64 * 1024
const NEWLINE = 0x0a

/** Offset at which the last `lines` whole lines begin. A file without a final newline ends in a line too. */
export async function tailOffset(file: FileHandle, lines: number): Promise<number> {
  const { size } = await file.stat()
  if (lines <= 0) return size
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  let seen = 0
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - BLOCK_BYTES)
    const { bytesRead } = await file.read(block, 0, end - start, start)
    for (let i = bytesRead - 1; i >= 0; i--) {
      if (block[i] !== NEWLINE || start + i === size - 1) continue
      if (++seen === lines) return start + i + 1
    }
    end = start
  }
  return 0
}
