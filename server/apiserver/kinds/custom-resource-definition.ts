/** CustomResourceDefinition: what is special to the kind itself. What it brings about is the crd folder's. */
import type { CustomResourceDefinition } from '#api/types/index.ts'
import { CLEANUP_FINALIZER } from '../crd/definition.ts'
import { definitionWarnings } from '../crd/definition-warnings.ts'
import { validateDefinition, validateDefinitionStatus, validateDefinitionUpdate } from '../crd/validate-definition.ts'
import type { KindStrategy } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { createdAtColumn, nameColumn } from './table-columns.ts'

export const customResourceDefinitionStrategy: KindStrategy<CustomResourceDefinition> = {
  requiresRevision: true,
  defaults(definition) {
    const spec = definition.spec as Partial<CustomResourceDefinition['spec']> | undefined
    if (!spec) return
    const names = spec.names
    if (names?.kind) {
      names.singular ||= names.kind.toLowerCase()
      names.listKind ||= `${names.kind}List`
    }
    spec.conversion ??= { strategy: 'None' }
    const service = spec.conversion.webhook?.clientConfig?.service
    if (service) service.port ??= 443
    const storage = spec.versions?.find((v) => v.storage)
    if (storage && !definition.status?.storedVersions?.length) definition.status = { ...definition.status, storedVersions: [storage.name] }
  },
  prepareCreate(definition) {
    const storage = definition.spec.versions?.find((v) => v.storage)
    definition.status = { ...(storage && { storedVersions: [storage.name] }) }
  },
  prepareUpdate(definition, old) {
    const status = cloneJson(old.status ?? {})
    const storage = definition.spec.versions?.find((v) => v.storage)
    if (storage && !status.storedVersions?.includes(storage.name)) status.storedVersions = [...(status.storedVersions ?? []), storage.name]
    definition.status = status
  },
  validate: validateDefinition,
  validateUpdate: validateDefinitionUpdate,
  validateStatusUpdate: validateDefinitionStatus,
  warnings: definitionWarnings,
  /** Its instances go first: the finalizer comes with the deletion. */
  mayRemove: (definition) => definition.metadata?.deletionTimestamp !== undefined,
  prepareDelete(definition) {
    const meta = (definition.metadata ??= {})
    if (!meta.finalizers?.includes(CLEANUP_FINALIZER)) meta.finalizers = [...(meta.finalizers ?? []), CLEANUP_FINALIZER]
    const conditions = (definition.status?.conditions ?? []).filter((c) => c.type !== 'Terminating')
    conditions.push({ type: 'Terminating', status: 'True', reason: 'InstanceDeletionPending', message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon', lastTransitionTime: meta.deletionTimestamp ?? '' })
    definition.status = { ...definition.status, conditions }
  },
  columns: [nameColumn(), createdAtColumn()],
}
