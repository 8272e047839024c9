/** Where a program is, as the shell would find it. */
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'

/** Daemons are often started without sbin: what skiff itself starts is looked for here (the same in `cri` and `cni`). */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Undefined when no directory of the search path has it. A path is where it says. */
export function findProgram(name: string, searchPath: string = SYSTEM_PATH): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? name : undefined
  return searchPath.split(':').filter((d) => d !== '').map((d) => join(d, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR', 'ELOOP'].some((code) => hasCode(error, code))) return false
    throw error
  }
}
