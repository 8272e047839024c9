/** What this machine's kernel lets the embedded runtime offer beyond the usual. Pure but for `hostFeatures`. */
import type { RuntimeHandler } from '../runtime.ts'

export type Features = Omit<RuntimeHandler, 'name'>

/** mount_setattr(2), by which a mount becomes read-only with all below it. */
const RECURSIVE_READ_ONLY_KERNEL = [5, 12] as const

/** Id-mapped mounts, also of tmpfs, where Secrets and tokens lie. */
const USER_NAMESPACES_KERNEL = [6, 3] as const

export function featuresOf(kernelRelease: string, maxUserNamespaces: number): Features {
  return { recursiveReadOnlyMounts: isAtLeast(kernelRelease, RECURSIVE_READ_ONLY_KERNEL), userNamespaces: isAtLeast(kernelRelease, USER_NAMESPACES_KERNEL) && maxUserNamespaces > 0 }
}

export function hostFeatures(): Features {
  return featuresOf(process.getBuiltinModule('node:os').release(), maxUserNamespaces())
}

function maxUserNamespaces(): number {
  try {
    return Number(process.getBuiltinModule('node:fs').readFileSync('/proc/sys/user/max_user_namespaces', 'utf8'))
  } catch {
    return 0 // A kernel without them.
  }
}

function isAtLeast(release: string, [major, minor]: readonly [number, number]): boolean {
  const [own = 0, ownMinor = 0] = release.split('.').map((part) => Number.parseInt(part, 10))
  return own > major || (own === major && ownMinor >= minor)
}
