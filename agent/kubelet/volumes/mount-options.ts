/** The options that a PersistentVolume is mounted with: its own, or those of the annotation that came before them (upstream's MountOptionFromSpec). Pure. */
import type { PersistentVolume } from '#api/types/index.ts'

const ANNOTATION = 'volume.beta.kubernetes.io/mount-options'

/** Each once, in order. `more`: of the volume's kind. */
export function mountOptions({ metadata, spec }: PersistentVolume, more: readonly string[] = []): string[] {
  const own = metadata?.annotations?.[ANNOTATION]?.split(',') ?? spec?.mountOptions ?? []
  return [...new Set([...own, ...more])].filter((option) => option !== '').toSorted()
}
