/**
 * Mounts below the mount of a volume that is filled by the agent (upstream's MakeNestedMountpoints): containers see such a volume read-only, so
 * the directories that others are mounted on have to be in it beforehand.
 */
import { mkdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import type { Container, Pod } from '#api/types/index.ts'
import { asError, CodedError } from '#base/errors.ts'

export async function makeNestedMountPoints(dir: string, volume: string, pod: Pod): Promise<void> {
  for (const path of nestedMountPoints(volume, pod)) {
    try {
      await mkdir(join(dir, path), { recursive: true, mode: 0o755 })
    } catch (error) {
      throw new CodedError('VOLUME_INVALID', `unable to create nested volume mountpoints: ${asError(error).message}`, { cause: error })
    }
  }
}

/** Relative to the volume. What is mounted on another of them is that one's to hold. Pure. */
export function nestedMountPoints(volume: string, { spec }: Pod): string[] {
  return [...new Set([...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])].flatMap((container) => ofContainer(volume, container)))]
}

function ofContainer(volume: string, { volumeMounts = [] }: Pick<Container, 'volumeMounts'>): string[] {
  const all = volumeMounts.map((m) => ({ name: m.name, path: clean(m.mountPath) })).toSorted((a, b) => (a.path < b.path ? -1 : 1))
  return all.filter((m) => m.name === volume).flatMap((own) => {
    if (own.path.startsWith('../')) throw new CodedError('VOLUME_INVALID', `invalid container mount point ${own.path}`)
    const nested: string[] = []
    for (const { path } of all) {
      if (path.startsWith(`${own.path}/`) && !nested.some((outer) => path.startsWith(`${outer}/`))) nested.push(path)
    }
    return nested.map((path) => path.slice(own.path.length + 1))
  })
}

const clean = (path: string): string => posix.normalize(path).replace(/(?<=.)\/$/, '')
