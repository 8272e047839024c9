/** Whether there is something at a path. */
import { lstat } from 'node:fs/promises'
import { hasCode } from './errors.ts'

/** A link counts, wherever it leads. Throws where it cannot be seen. */
export async function pathExists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
}
