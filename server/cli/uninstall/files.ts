/** Directories and the kubeconfig; last, since everything before reads them. */
import { readFileSync, rmdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { hasCode } from '#base/errors.ts'
import { DATA_ENTRIES, ownPaths, STATE_ENTRIES } from './ownership.ts'
import type { Removal } from './removal.ts'

/** Left by scripts/up.sh where there is no systemd. */
const PID_FILE = '/run/skiff-server.pid'

export async function removeFiles({ dataDir, stateDir, kubeconfig, say }: Removal): Promise<void> {
  for (const [directory, entries] of [[stateDir, STATE_ENTRIES], [dataDir, DATA_ENTRIES]] as const) {
    const paths = ownPaths(directory, entries)
    for (const path of paths) rmSync(path, { recursive: true, force: true })
    removeIfEmpty(directory)
    if (paths.length > 0) say(`removed ${directory}`)
  }
  if (isKubeconfig(kubeconfig)) {
    rmSync(kubeconfig, { force: true })
    removeIfEmpty(dirname(kubeconfig))
    say(`removed ${kubeconfig}`)
  }
  const pid = read(PID_FILE)?.trim()
  if (pid !== undefined && read(`/proc/${pid}/stat`) === undefined) rmSync(PID_FILE, { force: true })
}

/** Whatever else somebody named in --write-kubeconfig is not removed. */
function isKubeconfig(path: string): boolean {
  return /^kind: Config$/m.test(read(path) ?? '')
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EBUSY', 'EEXIST'].some((code) => hasCode(error, code))) throw error
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR') || hasCode(error, 'EISDIR')) return undefined
    throw error
  }
}
