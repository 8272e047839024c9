/** The places of the machine that a container's mounts come from, before it is made. */
import { mkdir } from 'node:fs/promises'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Mount } from '../runtime.ts'
import { mountOf, readMountTable, type MountEntry } from './mount-table.ts'

/** Missing host paths are made, as containerd does; propagation the host cannot give is refused in its words. */
export async function prepareMountSources(mounts: readonly Mount[]): Promise<void> {
  let table: MountEntry[] | undefined
  for (const mount of mounts) {
    if (mount.image !== undefined) continue
    await mkdir(mount.hostPath, { recursive: true }).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw new CodedError('CRI_FAILED', `failed to make mount source "${mount.hostPath}": ${asError(error).message}`, { cause: error })
    })
    if (mount.propagation === 'private') continue
    table ??= readMountTable()
    const on = mountOf(mount.hostPath, table)
    const shared = on?.propagation.some((p) => p.startsWith('shared:'))
    if (mount.propagation === 'bidirectional' && !shared) throw new CodedError('CRI_INVALID', `path "${mount.hostPath}" is mounted on "${on?.path}" but it is not a shared mount`)
    if (mount.propagation === 'hostToContainer' && !shared && !on?.propagation.some((p) => p.startsWith('master:'))) {
      throw new CodedError('CRI_INVALID', `path "${mount.hostPath}" is mounted on "${on?.path}" but it is not a shared or slave mount`)
    }
  }
}
