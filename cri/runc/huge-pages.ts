/**
 * Limits of huge pages. Usually the OCI runtime sets them; where cgroups are hybrid and the controller is version 2's, runc looks for it among
 * version 1's and refuses, so that they are set here, in the tree beside, before the container's process is there.
 */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asError, CodedError } from '#base/errors.ts'
import type { LinuxResources } from '../runtime.ts'
import type { CgroupLayout } from './cgroups.ts'

/** Makes the cgroup in the tree beside, and holds what is in it to so many bytes of each size of page. May be repeated. */
export async function limitHugePagesBeside(path: string, { hugepageLimits }: LinuxResources, { hybrid, hybridControllers }: Pick<CgroupLayout, 'hybrid' | 'hybridControllers'>): Promise<void> {
  if (hybrid === undefined || !hybridControllers?.has('hugetlb') || !hugepageLimits) return
  try {
    let directory = hybrid
    for (const name of path.split('/').filter(Boolean)) {
      // Cgroups get the controllers that those above them hand down.
      await writeFile(join(directory, 'cgroup.subtree_control'), '+hugetlb')
      directory = join(directory, name)
      await mkdir(directory, { recursive: true })
    }
    for (const [size, bytes] of Object.entries(hugepageLimits)) {
      // What is set aside by a mapping counts as what it uses, where the kernel tells them apart.
      for (const file of ['max', 'rsvd.max']) {
        const full = join(directory, `hugetlb.${size}.${file}`)
        if (file === 'max' || existsSync(full)) await writeFile(full, String(bytes))
      }
    }
  } catch (error) {
    throw new CodedError('CRI_FAILED', `limits of huge pages cannot be set: ${asError(error).message}`, { cause: error })
  }
}
