/** What this machine's kernel lets the embedded runtime offer beyond the usual. Pure but for `hostFeatures`. */
import type { RuntimeHandler } from '../runtime.ts'

export type Features = Omit<RuntimeHandler, 'name'>

/** mount_setattr(2), by which a mount becomes read-only with all below it. */
const RECURSIVE_READ_ONLY_KERNEL = [5, 12] as const

export function featuresOf(kernelRelease: string): Features {
  return { recursiveReadOnlyMounts: isAtLeast(kernelRelease, RECURSIVE_READ_ONLY_KERNEL), userNamespaces: false }
}

export function hostFeatures(): Features {
  return featuresOf(process.getBuiltinModule('node:os').release())
}

function isAtLeast(release: string, [major, minor]: readonly [number, number]): boolean {
  const [own = 0, ownMinor = 0] = release.split('.').map((part) => Number.parseInt(part, 10))
  return own > major || (own === major && ownMinor >= minor)
}
