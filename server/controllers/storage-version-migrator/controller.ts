/** Wires the storage version migrator: every object of a resource is written once as it is, and so in the version and with the key of now. */
import { isReason } from '#api/client/client.ts'
import { keyOf, type KubeObject, type ResourceRef, type Stored, type V1beta1StorageVersionMigration as Migration } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { decideMigration, nextConditions, type MigrationAction } from './decide.ts'

const MIGRATIONS: ResourceRef = { group: 'storagemigration.k8s.io', version: 'v1beta1', resource: 'storageversionmigrations', kind: 'StorageVersionMigration', namespaced: false }
/** A page of the list: only metadata. */
const PAGE = 500

export const storageVersionMigratorController: ControllerFactory = (deps) => {
  const { client, clock } = deps
  const log = deps.log.with('storage-version-migrator-controller')
  const migrations = deps.informers.of<Migration>(MIGRATIONS)

  /** In its group's preferred version; undefined: there is none. */
  const refOf = async ({ group = '', resource }: { group?: string; resource: string }, signal: AbortSignal): Promise<ResourceRef | undefined> => {
    try {
      const versions = group === '' ? [{ version: 'v1' }] : await client.raw('GET', `/apis/${group}`, undefined, signal).then((g) => (g as { preferredVersion: { version: string }; versions: { version: string }[] })).then(({ preferredVersion, versions: all }) => [preferredVersion, ...all])
      for (const { version } of versions) {
        const { resources = [] } = await client.raw('GET', group === '' ? `/api/${version}` : `/apis/${group}/${version}`, undefined, signal) as { resources?: { name: string; kind: string; namespaced: boolean }[] }
        const found = resources.find((r) => r.name === resource)
        if (found) return { group, version, resource, kind: found.kind, namespaced: found.namespaced }
      }
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error
    }
    return undefined
  }

  /** Undefined: all are written. */
  const migrateAll = async (ref: ResourceRef, signal: AbortSignal): Promise<string | undefined> => {
    for (let token: string | undefined; ;) {
      const page = await client.list<KubeObject>(ref, { metadataOnly: true, limit: PAGE, ...(token !== undefined && { continue: token }) }, signal)
      for (const { metadata: { name, namespace, uid, resourceVersion } } of page.items) {
        try {
          await client.patch(ref, name, namespace, 'application/merge-patch+json', { metadata: { uid, resourceVersion } }, { signal, fieldManager: 'storage-version-migrator-controller' })
        } catch (error) {
          // Written by somebody else, or gone: both will do.
          if (isReason(error, 'Conflict', 'NotFound')) continue
          if (signal.aborted) throw error
          log.warn('a migration ends early', { resource: ref.resource, namespace, name, error: asError(error) })
          return 'migration encountered unhandled error'
        }
      }
      token = page.metadata.continue
      if (!token) return undefined
    }
  }

  const loop = createLoop<Stored<Migration>, MigrationAction>({
    name: 'storage-version-migrator-controller',
    observe: (key) => migrations.get(key),
    decide: decideMigration,
    effects: (migration) => ({
      async migrate(_, signal) {
        let latest = migration
        const say = async (type: Parameters<typeof nextConditions>[1], message: string) => {
          latest = await client.update<Migration>(MIGRATIONS, { ...latest, status: { ...latest.status, resourceVersion: latest.status?.resourceVersion ?? latest.metadata.resourceVersion, conditions: nextConditions(latest, type, message, clock.nowMs()) } }, { subresource: 'status', signal })
        }
        const ref = await refOf(migration.spec?.resource ?? { resource: '' }, signal)
        if (!ref) return say('Failed', 'resource not found')
        await say('Running', '')
        const problem = await migrateAll(ref, signal)
        await (problem === undefined ? say('Succeeded', '') : say('Failed', problem))
      },
    }),
    isOrdinary,
  }, deps)
  migrations.onChange((before, after) => { if (!before && after) loop.queue.add(keyOf(after)) })
  return { name: 'storage-version-migrator-controller', run: (signal) => loop.run(signal) }
}
