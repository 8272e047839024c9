/** Nothing is removed that skiff did not make: a slip in --data-dir must not cost somebody's home. */
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { hasCode, UsageError } from '#base/errors.ts'
import type { Removal } from './removal.ts'

/** All that skiff makes in each; other things there are left alone. */
export const DATA_ENTRIES: readonly string[] = ['server', 'agent']
export const STATE_ENTRIES: readonly string[] = ['netns', 'sandboxes', 'containers', 'exits', 'oci', 'exec']

/** Throws UsageError. */
export function assertOurs({ dataDir, stateDir }: Pick<Removal, 'dataDir' | 'stateDir'>): void {
  for (const [flag, path, entries] of [['--data-dir', dataDir, DATA_ENTRIES], ['--state-dir', stateDir, STATE_ENTRIES]] as const) {
    if (resolve(path).split('/').filter((p) => p !== '').length < 2) throw new UsageError(`${flag}: ${path} is no directory of skiff's`)
    const there = entriesOf(path)
    if (there.length > 0 && !there.some((e) => entries.includes(e))) throw new UsageError(`${flag}: ${path} holds nothing of skiff's (none of ${entries.join(', ')}), so nothing was removed`)
  }
}

export function entriesOf(path: string): string[] {
  try {
    return readdirSync(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

export const ownPaths = (directory: string, entries: readonly string[]): string[] => entries.filter((e) => entriesOf(directory).includes(e)).map((e) => join(directory, e))
