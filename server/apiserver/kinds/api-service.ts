/** APIService: which group versions this server, or another behind it, serves. Availability and proxying are the aggregator's affair. */
import type { APIService } from '#api/types/index.ts'
import { checkDns1035Label, checkDnsSubdomain, checkPathSegment, checkPortNumber } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import type { KindContext, KindStrategy } from '../kind.ts'
import { keepStatus } from './carry.ts'
import { named } from './check.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const GROUP_PRIORITY_MAX = 20_000
const VERSION_PRIORITY_MAX = 1000

export const apiServiceStrategy: KindStrategy<APIService> = {
  requiresRevision: true,
  statusKeepsMetadata: ['labels', 'annotations', 'finalizers', 'ownerReferences'],
  nameRule: 'path-segment',
  generation: false,
  defaults(service) {
    if (service.spec?.service) service.spec.service.port ??= 443
  },
  prepareCreate(service, ctx) {
    // What this server serves itself is there at once.
    service.status = service.spec?.service ? {} : { conditions: [localAvailable(ctx)] }
  },
  prepareUpdate: keepStatus,
  validate: validateApiService,
  validateUpdate: validateApiService,
  validateStatusUpdate: (service) => (service.status?.conditions ?? []).flatMap((condition, i) => (['True', 'False', 'Unknown'].includes(condition.status) ? [] : [{ type: 'FieldValueNotSupported' as const, field: `status.conditions[${i}].status`, message: `Unsupported value: ${JSON.stringify(condition.status)}: supported values: "True", "False", "Unknown"` }])),
  columns: [
    nameColumn(),
    column('Service', 'The reference to the service that hosts this API endpoint.', (o) => (o.spec?.service ? `${o.spec.service.namespace ?? ''}/${o.spec.service.name ?? ''}` : 'Local')),
    column('Available', 'Whether this service is available.', availableText),
    ageColumn(),
  ],
}

const localAvailable = (ctx: KindContext) => ({
  type: 'Available', status: 'True', reason: 'Local', message: 'Local APIServices are always available', lastTransitionTime: `${new Date(ctx.nowMs).toISOString().slice(0, 19)}Z`,
})

function availableText(service: APIService): string {
  const condition = service.status?.conditions?.find((c) => c.type === 'Available')
  if (!condition) return 'Unknown'
  return condition.status === 'True' ? 'True' : `${condition.status} (${condition.reason ?? ''})`
}

function validateApiService(service: APIService): FieldError[] {
  const spec: Partial<NonNullable<APIService['spec']>> = service.spec ?? {}
  const { group = '', version = '', groupPriorityMinimum = 0, versionPriority = 0, service: backend, caBundle = '', insecureSkipTLSVerify = false } = spec
  const out: FieldError[] = []
  const wanted = `${version}.${group}`
  for (const key of ['generateName', 'name'] as const) {
    const name = service.metadata?.[key] ?? ''
    if (name !== '' && checkPathSegment(name).length === 0 && name !== wanted) out.push(invalid(`metadata.${key}`, name, `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`))
  }
  if (group === '' && version !== 'v1') out.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'))
  if (group !== '') out.push(...named('spec.group', group, checkDnsSubdomain))
  out.push(...named('spec.version', version, checkDns1035Label))
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > GROUP_PRIORITY_MAX) out.push(invalid('spec.groupPriorityMinimum', groupPriorityMinimum, 'must be positive and less than 20000'))
  if (versionPriority <= 0 || versionPriority > VERSION_PRIORITY_MAX) out.push(invalid('spec.versionPriority', versionPriority, 'must be positive and less than 1000'))
  if (!backend) {
    if (caBundle !== '') out.push(invalid('spec.caBundle', `${Buffer.from(caBundle, 'base64').length} bytes`, 'local APIServices may not have a caBundle'))
    if (insecureSkipTLSVerify) out.push(invalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'))
    return out
  }
  if (!backend.namespace) out.push(required('spec.service.namespace'))
  if (!backend.name) out.push(required('spec.service.name'))
  const wrongPort = checkPortNumber(backend.port ?? 0)
  if (wrongPort.length > 0) out.push(invalid('spec.service.port', backend.port ?? 0, `port is not valid: ${wrongPort.join(',')}`))
  if (insecureSkipTLSVerify && caBundle !== '') out.push(invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present'))
  return out
}
