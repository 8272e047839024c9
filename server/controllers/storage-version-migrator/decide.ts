/** Whether a StorageVersionMigration is to run, and what its status says then (KEP-4192). Pure. */
import type { Condition, Stored, V1beta1StorageVersionMigration as Migration } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { formatTime } from '../time.ts'

export type MigrationAction = { kind: 'migrate' }

const isSaid = ({ status }: Migration, type: string): boolean => status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false

export function decideMigration(migration: Stored<Migration>): Decision<MigrationAction> {
  return isSaid(migration, 'Succeeded') || isSaid(migration, 'Failed') ? nothing('it is over') : { actions: [{ kind: 'migrate' }], because: 'it has not run to its end' }
}

const REASONS = { Running: 'StorageVersionMigrationInProgress', Succeeded: 'StorageVersionMigrationSucceeded', Failed: 'StorageVersionMigrationFailed' } as const

/** Running ends when one of the others is said. */
export function nextConditions(migration: Migration, type: keyof typeof REASONS, message: string, nowMs: number): Condition[] {
  const said: Condition = { type, status: 'True', reason: REASONS[type], message, lastTransitionTime: formatTime(nowMs) }
  const others = (migration.status?.conditions ?? []).filter((c) => c.type !== type)
  return [...others.map((c) => (c.type === 'Running' && type !== 'Running' && c.status === 'True' ? { ...c, status: 'False', lastTransitionTime: formatTime(nowMs) } : c)), said]
}
