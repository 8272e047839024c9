/** Workload and PodGroup: gang scheduling (KEP-4671), scheduling.k8s.io/v1alpha2. */
import type { V1alpha2PodGroup as PodGroup, V1alpha2PodGroupResourceClaim, V1alpha2PodGroupSchedulingPolicy, V1alpha2PodGroupTemplate, V1alpha2Workload as Workload } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkPathSegment } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required, tooMany } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { immutable, named, requiredName } from './check.ts'
import { validateConditions } from './conditions.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const TEMPLATES_MAX = 8
const CLAIMS_MAX = 4
const PRIORITY_MAX = 1_000_000_000
const DISRUPTION_MODES = ['Pod', 'PodGroup']

export const workloadStrategy: KindStrategy<Workload> = {
  generation: false,
  validate: (workload) => [
    ...validateController('spec.controllerRef', workload.spec?.controllerRef),
    ...validateTemplates('spec.podGroupTemplates', workload.spec?.podGroupTemplates ?? []),
  ],
  validateUpdate: (workload, old) => [
    ...(old.spec?.controllerRef ? immutable('spec.controllerRef', workload.spec?.controllerRef, old.spec.controllerRef) : validateController('spec.controllerRef', workload.spec?.controllerRef)),
    ...immutable('spec.podGroupTemplates', workload.spec?.podGroupTemplates, old.spec?.podGroupTemplates),
  ],
  columns: [nameColumn(), ageColumn()],
}

export const podGroupStrategy: KindStrategy<PodGroup> = {
  statusKeepsMetadata: RESET_FOR_STATUS,
  prepareCreate: (group) => { group.status = {} },
  prepareUpdate: keepStatus,
  generation: false,
  validate: (group) => {
    const reference = group.spec?.podGroupTemplateRef?.workload
    return [
      ...(reference ? [...requiredName('spec.podGroupTemplateRef.workload.workloadName', reference.workloadName, checkDnsSubdomain), ...requiredName('spec.podGroupTemplateRef.workload.podGroupTemplateName', reference.podGroupTemplateName, checkDnsLabel)] : []),
      ...validateGroup('spec', group.spec ?? {}),
    ]
  },
  validateUpdate: (group, old) => (['podGroupTemplateRef', 'schedulingPolicy', 'schedulingConstraints', 'resourceClaims', 'disruptionMode', 'priorityClassName', 'priority'] as const).flatMap((key) => immutable(`spec.${key}`, group.spec?.[key], old.spec?.[key])),
  validateStatusUpdate: (group) => validateConditions('status.conditions', group.status?.conditions),
  columns: [
    nameColumn(),
    column('Policy', 'SchedulingPolicy defines the scheduling policy for this instance of the PodGroup.', (o) => (o.spec?.schedulingPolicy.gang ? 'Gang' : 'Basic')),
    column('Workload', 'Name of the referenced Workload object', (o) => o.spec?.podGroupTemplateRef ? o.spec.podGroupTemplateRef.workload?.workloadName ?? '' : '<none>'),
    column('Status', 'Status of the PodGroup', statusText),
    ageColumn(),
  ],
}

function statusText({ status }: PodGroup): string {
  const of = (type: string) => status?.conditions?.findLast((c) => c.type === type)
  const [scheduled, disrupted] = [of('PodGroupScheduled'), of('DisruptionTarget')]
  if (disrupted) return disrupted.reason
  if (!scheduled) return 'Pending'
  return scheduled.status === 'True' ? 'Scheduled' : 'Unschedulable'
}

function validateController(at: string, ref: { apiGroup?: string; kind?: string; name?: string } | undefined): FieldError[] {
  if (!ref) return []
  return [
    ...(ref.apiGroup ? named(`${at}.apiGroup`, ref.apiGroup, checkDnsSubdomain) : []),
    ...requiredName(`${at}.kind`, ref.kind, checkPathSegment),
    ...requiredName(`${at}.name`, ref.name, checkPathSegment),
  ]
}

function validateTemplates(at: string, templates: readonly V1alpha2PodGroupTemplate[]): FieldError[] {
  if (templates.length === 0) return [required(at, 'must have at least one item')]
  if (templates.length > TEMPLATES_MAX) return [tooMany(at, templates.length, TEMPLATES_MAX)]
  const seen = new Set<string>()
  return templates.flatMap((template, i) => {
    const out = requiredName(`${at}[${i}].name`, template.name, checkDnsLabel)
    if (seen.has(template.name)) out.push(duplicate(`${at}[${i}]`, template))
    seen.add(template.name)
    return [...out, ...validateGroup(`${at}[${i}]`, template)]
  })
}

interface Group {
  schedulingPolicy?: V1alpha2PodGroupSchedulingPolicy
  resourceClaims?: V1alpha2PodGroupResourceClaim[]
  disruptionMode?: string
  priorityClassName?: string
  priority?: number
}

function validateGroup(at: string, group: Partial<Group>): FieldError[] {
  const { disruptionMode, priorityClassName, priority } = group
  const out = [...validatePolicy(`${at}.schedulingPolicy`, group.schedulingPolicy ?? {}), ...validateClaims(`${at}.resourceClaims`, group.resourceClaims ?? [])]
  if (disruptionMode !== undefined && !DISRUPTION_MODES.includes(disruptionMode)) out.push(notSupported(`${at}.disruptionMode`, disruptionMode, DISRUPTION_MODES))
  if (priorityClassName) out.push(...named(`${at}.priorityClassName`, priorityClassName, checkDnsSubdomain))
  if (priority !== undefined && priority > PRIORITY_MAX) out.push(invalid(`${at}.priority`, priority, `must be less than or equal to ${PRIORITY_MAX}`))
  return out
}

function validatePolicy(at: string, { basic, gang }: V1alpha2PodGroupSchedulingPolicy): FieldError[] {
  if (!basic && !gang) return [invalid(at, '', 'must specify one of: `basic`, `gang`')]
  if (basic && gang) return [invalid(at, '{`basic`, `gang`}', 'exactly one of `basic`, `gang` is required, but multiple fields are set')]
  if (!gang) return []
  if (!gang.minCount) return [required(`${at}.gang.minCount`)]
  return gang.minCount < 0 ? [invalid(`${at}.gang.minCount`, gang.minCount, 'must be greater than or equal to 1')] : []
}

function validateClaims(at: string, claims: readonly V1alpha2PodGroupResourceClaim[]): FieldError[] {
  if (claims.length > CLAIMS_MAX) return [tooMany(at, claims.length, CLAIMS_MAX)]
  const seen = new Set<string>()
  return claims.flatMap((claim, i) => {
    const here = `${at}[${i}]`
    const out = requiredName(`${here}.name`, claim.name, checkDnsLabel)
    if (seen.has(claim.name)) out.push(duplicate(here, claim.name))
    seen.add(claim.name)
    const { resourceClaimName: name, resourceClaimTemplateName: template } = claim
    if (name === undefined && template === undefined) out.push(invalid(here, '', 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'))
    if (name !== undefined && template !== undefined) out.push(invalid(here, '{`resourceClaimName`, `resourceClaimTemplateName`}', 'exactly one of `resourceClaimName`, `resourceClaimTemplateName` is required, but multiple fields are set'))
    if (name !== undefined) out.push(...named(`${here}.resourceClaimName`, name, checkDnsSubdomain))
    if (template !== undefined) out.push(...named(`${here}.resourceClaimTemplateName`, template, checkDnsSubdomain))
    return out
  })
}
