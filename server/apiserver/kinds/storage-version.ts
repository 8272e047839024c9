/** Storage versions that servers speak, and migrations to the current one. */
import type { V1alpha1StorageVersion as StorageVersion, V1beta1StorageVersionMigration as StorageVersionMigration } from '#api/types/index.ts'
import { checkDns1035Label, checkDnsSubdomain } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { immutable } from './check.ts'
import { validateConditions } from './conditions.ts'
import { ageColumn, column, listWithMore, nameColumn } from './table-columns.ts'

export const storageVersionStrategy: KindStrategy<StorageVersion> = {
  requiresRevision: true,
  statusKeepsMetadata: RESET_FOR_STATUS,
  nameRule: 'path-segment',
  generation: false,
  prepareCreate: (version) => { version.status = {} },
  prepareUpdate: keepStatus,
  validate: (version) => checkName(version.metadata?.name ?? '').map((m) => invalid('metadata.name', version.metadata?.name, m)),
  validateStatusUpdate: validateVersionStatus,
  columns: [
    nameColumn(),
    column('CommonEncodingVersion', 'If all API server instances agree on the same encoding storage version, then this field is set to that version. Otherwise this field is left empty. API servers should finish updating its storageVersionStatus entry before serving write operations, so that this field will be in sync with the reality.', (o) => o.status?.commonEncodingVersion ?? '<unset>'),
    column('StorageVersions', 'The reported versions per API server instance.', (o) => listWithMore((o.status?.storageVersions ?? []).map((v) => `${v.apiServerID ?? ''}=${v.encodingVersion ?? ''}`), '<unset>')),
    ageColumn(),
  ],
}

function checkName(name: string): string[] {
  if (name === '') return []
  const dot = name.lastIndexOf('.')
  if (dot < 0) return ['name must be in the form of <group>.<resource>']
  return [...checkDnsSubdomain(name.slice(0, dot)).map((m) => `the group segment ${m}`), ...checkDns1035Label(name.slice(dot + 1)).map((m) => `the resource segment ${m}`)]
}

function validateVersionStatus(version: StorageVersion): FieldError[] {
  const status = version.status ?? {}
  const out: FieldError[] = []
  for (const [i, server] of (status.storageVersions ?? []).entries()) {
    const at = `status.storageVersions[${i}]`
    if (!server.apiServerID) out.push(required(`${at}.apiServerID`))
    if (!(server.decodableVersions ?? []).includes(server.encodingVersion ?? '')) out.push(invalid(`${at}.decodableVersions`, server.decodableVersions ?? [], `decodableVersions must include encodingVersion ${server.encodingVersion ?? ''}`))
  }
  const versions = new Set((status.storageVersions ?? []).map((s) => s.encodingVersion))
  const common = versions.size === 1 ? [...versions][0] : undefined
  if (common !== undefined && status.commonEncodingVersion === undefined) out.push(invalid('status.commonEncodingVersion', null, `the common encoding version is ${common}`))
  if (common === undefined && status.commonEncodingVersion !== undefined) out.push(invalid('status.commonEncodingVersion', status.commonEncodingVersion, 'should be nil if servers do not agree on the same encoding version, or if there is no server reporting the supported versions yet'))
  if (common !== undefined && status.commonEncodingVersion !== undefined && status.commonEncodingVersion !== common) out.push(invalid('status.commonEncodingVersion', status.commonEncodingVersion, `the actual common encoding version is ${common}`))
  return out
}

const MIGRATION_STATES = ['Running', 'Succeeded', 'Failed']

export const storageVersionMigrationStrategy: KindStrategy<StorageVersionMigration> = {
  generation: false,
  requiresRevision: true,
  statusKeepsMetadata: RESET_FOR_STATUS,
  prepareCreate: (migration) => { migration.status = {} },
  prepareUpdate: keepStatus,
  validate: validateMigration,
  validateUpdate: (migration, old) => [...validateMigration(migration), ...immutable('spec', migration.spec, old.spec)],
  validateStatusUpdate: (migration, old) => {
    const out = validateConditions('status.conditions', migration.status?.conditions)
    const revision = migration.status?.resourceVersion
    if (revision !== undefined && revision !== '' && !/^\d+$/.test(revision)) out.push(invalid('status.resourceVersion', revision, `resource version is not well formed: ${revision}`))
    if (old.status?.resourceVersion && old.status.resourceVersion !== revision) out.push(invalid('status.resourceVersion', revision, 'resourceVersion cannot be updated'))
    return out
  },
  columns: [
    { ...nameColumn<StorageVersionMigration>(), format: '' },
    column('Resource', 'GroupResource to migrate', (o) => [o.spec?.resource?.resource, o.spec?.resource?.group].filter((t) => t).join('.')),
    column('Status', 'Status of the migration', (o) => o.status?.conditions?.findLast((c) => c.status === 'True' && MIGRATION_STATES.includes(c.type))?.type ?? 'Unknown'),
  ],
}

function validateMigration(migration: StorageVersionMigration): FieldError[] {
  const resource: { group?: string; resource?: string } = migration.spec?.resource ?? {}
  const out: FieldError[] = []
  if (!resource.resource) out.push(required('spec.resource.resource', 'resource is required to be set'))
  else out.push(...checkDns1035Label(resource.resource).map((m) => invalid('spec.resource.resource', resource.resource, m)))
  if (resource.group) out.push(...checkDnsSubdomain(resource.group).map((m) => invalid('spec.resource.group', resource.group, m)))
  return out
}
