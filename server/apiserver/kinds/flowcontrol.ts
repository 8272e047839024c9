/** Flow schemas (who asks for what) and priority levels (how much of the server they may have): API priority and fairness, KEP-1040. */
import type { FlowcontrolV1Subject as Subject, FlowSchema, FlowSchemaSpec, LimitedPriorityLevelConfiguration, LimitResponse, NonResourcePolicyRule, PolicyRulesWithSubjects, PriorityLevelConfiguration, QueuingConfiguration, ResourcePolicyRule } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts'
import { MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS } from '../flowcontrol/default-objects.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus } from './carry.ts'
import { named } from './check.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const PRECEDENCE_DEFAULT = 1000
const PRECEDENCE_MAX = 10_000
const QUEUES_MAX = 10_000_000
/** A hand of queues is dealt from this many bits of hash. */
const HASH_BITS_MAX = 60
/** What told v1beta3 that a zero was meant, in clusters that had it. */
const ZERO_SHARES = 'flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares'
const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch']

export const flowSchemaStrategy: KindStrategy<FlowSchema> = {
  statusKeepsMetadata: true,
  defaults(schema) {
    if (schema.spec && !schema.spec.matchingPrecedence) schema.spec.matchingPrecedence = PRECEDENCE_DEFAULT
  },
  prepareCreate: (schema) => { schema.status = {} },
  prepareUpdate: keepStatus,
  generation: (schema, old) => !semanticEqual(schema.spec, old.spec),
  validate: validateFlowSchema,
  validateUpdate: validateFlowSchema,
  validateStatusUpdate: (schema) => validateConditions(schema.status?.conditions),
  columns: [
    nameColumn(),
    column('PriorityLevel', '`name` is the name of the priority level configuration being referenced Required.', (o) => o.spec?.priorityLevelConfiguration.name ?? ''),
    column('MatchingPrecedence', '`matchingPrecedence` is used to choose among the FlowSchemas that match a given request. The chosen FlowSchema is among those with the numerically lowest (which we take to be logically highest) MatchingPrecedence.  Each MatchingPrecedence value must be ranged in [1,10000]. Note that if the precedence is not specified, it will be set to 1000 as default.', (o) => o.spec?.matchingPrecedence ?? 0),
    column('DistinguisherMethod', '`distinguisherMethod` defines how to compute the flow distinguisher for requests that match this schema. `nil` specifies that the distinguisher is disabled and thus will always be the empty string.', (o) => o.spec?.distinguisherMethod?.type ?? '<none>'),
    ageColumn(),
    column('MissingPL', 'references a broken or non-existent PriorityLevelConfiguration', (o) => o.status?.conditions?.find((c) => c.type === 'Dangling')?.status ?? '?'),
  ],
}

export const priorityLevelStrategy: KindStrategy<PriorityLevelConfiguration> = {
  statusKeepsMetadata: true,
  defaults({ spec }) {
    if (spec?.exempt) {
      spec.exempt.nominalConcurrencyShares ??= 0
      spec.exempt.lendablePercent ??= 0
    }
    if (spec?.limited) {
      spec.limited.nominalConcurrencyShares ??= 30
      spec.limited.lendablePercent ??= 0
      const queuing = spec.limited.limitResponse?.queuing
      if (queuing) {
        queuing.queues ||= 64
        queuing.handSize ||= 8
        queuing.queueLengthLimit ||= 50
      }
    }
  },
  prepareCreate: (level) => { level.status = {} },
  prepareUpdate: keepStatus,
  generation: (level, old) => !semanticEqual(level.spec, old.spec),
  validate: validatePriorityLevel,
  validateUpdate: validatePriorityLevel,
  validateStatusUpdate: (level) => validateConditions(level.status?.conditions),
  columns: [
    nameColumn(),
    column('Type', '`type` indicates whether this priority level is subject to limitation on request execution.  A value of `"Exempt"` means that requests of this priority level are not subject to a limit (and thus are never queued) and do not detract from the capacity made available to other priority levels.  A value of `"Limited"` means that (a) requests of this priority level _are_ subject to limits and (b) some of the server\'s limited capacity is made available exclusively to this priority level. Required.', (o) => o.spec?.type ?? ''),
    column('NominalConcurrencyShares', '`nominalConcurrencyShares` (NCS) contributes to the computation of the NominalConcurrencyLimit (NominalCL) of this level. This is the number of execution seats available at this priority level. This is used both for requests dispatched from this priority level as well as requests dispatched from other priority levels borrowing seats from this level.', (o) => o.spec?.limited?.nominalConcurrencyShares ?? '<none>'),
    column('Queues', '`queues` is the number of queues for this priority level. The queues exist independently at each apiserver. The value must be positive.  Setting it to 1 effectively precludes shufflesharding and thus makes the distinguisher method of associated flow schemas irrelevant.  This field has a default value of 64.', (o) => queuingOf(o)?.queues ?? '<none>'),
    column('HandSize', '`handSize` is a small positive number that configures the shuffle sharding of requests into queues.  When enqueuing a request at this priority level the request\'s flow identifier (a string pair) is hashed and the hash value is used to shuffle the list of queues and deal a hand of the size specified here.  The request is put into one of the shortest queues in that hand. `handSize` must be no larger than `queues`, and should be significantly smaller (so that a few heavy flows do not saturate most of the queues).  See the user-facing documentation for more extensive guidance on setting this field.  This field has a default value of 8.', (o) => queuingOf(o)?.handSize ?? '<none>'),
    column('QueueLengthLimit', '`queueLengthLimit` is the maximum number of requests allowed to be waiting in a given queue of this priority level at a time; excess requests are rejected.  This value must be positive.  If not specified, it will be defaulted to 50.', (o) => queuingOf(o)?.queueLengthLimit ?? '<none>'),
    ageColumn(),
  ],
}

const queuingOf = (level: PriorityLevelConfiguration): QueuingConfiguration | undefined => level.spec?.limited?.limitResponse?.queuing

function validateFlowSchema(schema: FlowSchema): FieldError[] {
  const name = schema.metadata?.name ?? ''
  const spec = schema.spec ?? { priorityLevelConfiguration: { name: '' } }
  const out = validateFlowSchemaSpec(name, spec)
  const fixed = MANDATORY_FLOW_SCHEMAS.find((s) => s.metadata?.name === name)
  if (fixed && !semanticEqual(spec, fixed.spec)) out.push(invalid('spec', spec, `spec of '${name}' must equal the fixed value`))
  return [...out, ...validateConditions(schema.status?.conditions)]
}

function validateFlowSchemaSpec(name: string, spec: FlowSchemaSpec): FieldError[] {
  const out: FieldError[] = []
  const precedence = spec.matchingPrecedence ?? 0
  if (precedence <= 0) out.push(invalid('spec.matchingPrecedence', precedence, 'must be a positive value'))
  if (precedence > PRECEDENCE_MAX) out.push(invalid('spec.matchingPrecedence', precedence, `must not be greater than ${PRECEDENCE_MAX}`))
  if (precedence === 1 && name !== 'exempt') out.push(invalid('spec.matchingPrecedence', precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
  if (spec.distinguisherMethod && !['ByNamespace', 'ByUser'].includes(spec.distinguisherMethod.type)) out.push(notSupported('spec.distinguisherMethod.type', spec.distinguisherMethod, ['ByNamespace', 'ByUser']))
  const level = spec.priorityLevelConfiguration?.name ?? ''
  if (level === '') out.push(required('spec.priorityLevelConfiguration.name', 'must reference a priority level'))
  else out.push(...named('spec.priorityLevelConfiguration.name', level, checkDnsSubdomain))
  for (const [i, rule] of (spec.rules ?? []).entries()) out.push(...validateRules(`spec.rules[${i}]`, rule))
  return out
}

function validateRules(at: string, rule: Partial<PolicyRulesWithSubjects>): FieldError[] {
  const { subjects = [], resourceRules = [], nonResourceRules = [] } = rule
  return [
    ...(subjects.length === 0 ? [required(`${at}.subjects`, 'subjects must contain at least one value')] : subjects.flatMap((s, i) => validateSubject(`${at}.subjects[${i}]`, s))),
    ...(resourceRules.length === 0 && nonResourceRules.length === 0 ? [required(at, 'at least one of resourceRules and nonResourceRules has to be non-empty')] : []),
    ...resourceRules.flatMap((r, i) => validateResourceRule(`${at}.resourceRules[${i}]`, r)),
    ...nonResourceRules.flatMap((r, i) => validateNonResourceRule(`${at}.nonResourceRules[${i}]`, r)),
  ]
}

const SUBJECT_FIELDS = { ServiceAccount: 'serviceAccount', User: 'user', Group: 'group' } as const

function validateSubject(at: string, subject: Subject): FieldError[] {
  const kind = subject.kind as keyof typeof SUBJECT_FIELDS
  if (!Object.hasOwn(SUBJECT_FIELDS, kind)) return [notSupported(`${at}.kind`, subject.kind, ['Group', 'ServiceAccount', 'User'])]
  const out = subject[SUBJECT_FIELDS[kind]] ? validateSubjectField(`${at}.${SUBJECT_FIELDS[kind]}`, subject) : [required(`${at}.${SUBJECT_FIELDS[kind]}`, `${SUBJECT_FIELDS[kind]} is required when subject kind is '${kind}'`)]
  for (const [other, field] of Object.entries(SUBJECT_FIELDS)) {
    if (other !== kind && subject[field]) out.push(forbidden(`${at}.${field}`, `${field} is forbidden when subject kind is not '${other}'`))
  }
  return out
}

function validateSubjectField(at: string, { kind, user, group, serviceAccount }: Subject): FieldError[] {
  if (kind !== 'ServiceAccount') return (kind === 'User' ? user?.name : group?.name) ? [] : [required(`${at}.name`)]
  const { name = '', namespace = '' } = serviceAccount ?? {}
  return [
    ...(name === '' ? [required(`${at}.name`)] : name === '*' ? [] : named(`${at}.name`, name, checkDnsSubdomain)),
    ...(namespace === '' ? [required(`${at}.namespace`, 'must specify namespace for service account')] : named(`${at}.namespace`, namespace, checkDnsLabel)),
  ]
}

function validateVerbs(at: string, verbs: readonly string[]): FieldError[] {
  if (verbs.length === 0) return [required(at, 'verbs must contain at least one value')]
  if (verbs.includes('*')) return verbs.length > 1 ? [invalid(at, verbs, "if '*' is present, must not specify other verbs")] : []
  return verbs.every((v) => VERBS.includes(v)) ? [] : [notSupported(at, verbs, VERBS)]
}

function validateNonResourceRule(at: string, { verbs = [], nonResourceURLs: urls = [] }: Partial<NonResourcePolicyRule>): FieldError[] {
  const out = validateVerbs(`${at}.verbs`, verbs)
  if (urls.length === 0) out.push(required(`${at}.nonResourceURLs`, 'nonResourceURLs must contain at least one value'))
  else if (!urls.includes('*')) out.push(...urls.flatMap((url, i) => validateUrl(`${at}.nonResourceURLs[${i}]`, url)))
  else if (urls.length > 1) out.push(invalid(`${at}.nonResourceURLs`, urls, "if '*' is present, must not specify other non-resource URLs"))
  return out
}

function validateUrl(at: string, url: string): FieldError[] {
  const wrong = (detail: string): FieldError[] => [invalid(at, url, detail)]
  if (url === '') return wrong('must not be empty')
  if (url === '/') return []
  if (!url.startsWith('/')) return wrong('must start with slash')
  if (url.includes(' ')) return wrong('must not contain white-space')
  if (url.includes('//')) return wrong('must not contain double slash')
  const stars = url.split('*').length - 1
  return stars > 1 || (stars === 1 && !url.endsWith('/*')) ? wrong('wildcard can only do suffix matching') : []
}

function validateResourceRule(at: string, rule: Partial<ResourcePolicyRule>): FieldError[] {
  const { verbs = [], apiGroups = [], resources = [], namespaces = [] } = rule
  const out = validateVerbs(`${at}.verbs`, verbs)
  if (apiGroups.length === 0) out.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'))
  else if (apiGroups.length > 1 && apiGroups.includes('*')) out.push(invalid(`${at}.apiGroups`, apiGroups, "if '*' is present, must not specify other api groups"))
  if (resources.length === 0) out.push(required(`${at}.resources`, 'resource rules must supply at least one resource'))
  else if (resources.length > 1 && resources.includes('*')) out.push(invalid(`${at}.resources`, resources, "if '*' is present, must not specify other resources"))
  if (namespaces.length === 0 && !rule.clusterScope) out.push(required(`${at}.namespaces`, 'resource rules that are not cluster scoped must supply at least one namespace'))
  else if (!namespaces.includes('*')) out.push(...namespaces.flatMap((n, i) => checkDnsLabel(n).map((m) => invalid(`${at}.namespaces[${i}]`, n, `each member of this list must be '*' or a DNS-1123 label; ${m}`))))
  else if (namespaces.length > 1) out.push(invalid(`${at}.namespaces`, namespaces, "if '*' is present, must not specify other namespaces"))
  return out
}

function validatePriorityLevel(level: PriorityLevelConfiguration): FieldError[] {
  const name = level.metadata?.name ?? ''
  const spec = level.spec ?? { type: '' }
  const out: FieldError[] = []
  if (level.metadata?.annotations?.[ZERO_SHARES] !== undefined) out.push(forbidden('metadata.annotations', `annotation '${ZERO_SHARES}' is forbidden`))
  if ((name === 'exempt') !== (spec.type === 'Exempt')) out.push(invalid('spec.type', spec.type, "must be 'Exempt' if and only if `name` is 'exempt'"))
  if (spec.type === 'Exempt') {
    if (spec.limited) out.push(forbidden('spec.limited', 'must be nil if the type is not Limited'))
    const { nominalConcurrencyShares: shares = 0, lendablePercent } = spec.exempt ?? {}
    if (shares < 0) out.push(invalid('spec.exempt.nominalConcurrencyShares', shares, 'must be a non-negative integer'))
    out.push(...validateLendable('spec.exempt.lendablePercent', lendablePercent))
  } else if (spec.type === 'Limited') {
    if (spec.exempt) out.push(forbidden('spec.exempt', 'must be nil if the type is Limited'))
    if (spec.limited) out.push(...validateLimited('spec.limited', spec.limited))
    else out.push(required('spec.limited', 'must not be empty when type is Limited'))
  } else {
    out.push(notSupported('spec.type', spec.type, ['Exempt', 'Limited']))
  }
  const fixed = MANDATORY_PRIORITY_LEVELS.find((l) => l.metadata?.name === name)
  if (fixed && name === 'exempt' && !semanticEqual({ ...spec, exempt: undefined }, { ...fixed.spec, exempt: undefined })) out.push(invalid('spec', spec, "spec of 'exempt' except the 'spec.exempt' field must equal the fixed value"))
  else if (fixed && name !== 'exempt' && !semanticEqual(spec, fixed.spec)) out.push(invalid('spec', spec, `spec of '${name}' must equal the fixed value`))
  return [...out, ...validateConditions(level.status?.conditions)]
}

function validateLendable(at: string, percent: number | undefined): FieldError[] {
  return percent !== undefined && (percent < 0 || percent > 100) ? [invalid(at, percent, 'must be between 0 and 100, inclusive')] : []
}

function validateLimited(at: string, limited: LimitedPriorityLevelConfiguration): FieldError[] {
  const { nominalConcurrencyShares: shares = 0, lendablePercent, borrowingLimitPercent: borrowing } = limited
  return [
    ...(shares < 0 ? [invalid(`${at}.nominalConcurrencyShares`, shares, 'must be a non-negative integer')] : []),
    ...validateLendable(`${at}.lendablePercent`, lendablePercent),
    ...(borrowing !== undefined && borrowing < 0 ? [invalid(`${at}.borrowingLimitPercent`, borrowing, 'if specified, must be a non-negative integer')] : []),
    ...validateLimitResponse(`${at}.limitResponse`, limited.limitResponse ?? { type: '' }),
  ]
}

function validateLimitResponse(at: string, { type, queuing }: LimitResponse): FieldError[] {
  if (type === 'Reject') return queuing ? [forbidden(`${at}.queuing`, 'must be nil if limited.limitResponse.type is not Limited')] : []
  if (type !== 'Queue') return [notSupported(`${at}.type`, type, ['Queue', 'Reject'])]
  return queuing ? validateQueuing(`${at}.queuing`, queuing) : [required(`${at}.queuing`, 'must not be empty if limited.limitResponse.type is Limited')]
}

function validateQueuing(at: string, { queues = 0, handSize = 0, queueLengthLimit = 0 }: QueuingConfiguration): FieldError[] {
  const out: FieldError[] = []
  if (queueLengthLimit <= 0) out.push(invalid(`${at}.queueLengthLimit`, queueLengthLimit, 'must be positive'))
  if (queues <= 0) out.push(invalid(`${at}.queues`, queues, 'must be positive'))
  else if (queues > QUEUES_MAX) out.push(invalid(`${at}.queues`, queues, `must not be greater than ${QUEUES_MAX}`))
  if (handSize <= 0) out.push(invalid(`${at}.handSize`, handSize, 'must be positive'))
  else if (handSize > queues) out.push(invalid(`${at}.handSize`, handSize, `should not be greater than queues (${queues})`))
  else if (Math.ceil(Math.log2(queues) * handSize) > HASH_BITS_MAX) out.push(invalid(`${at}.handSize`, handSize, `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${HASH_BITS_MAX}`))
  return out
}

function validateConditions(conditions: readonly { type?: string }[] | undefined): FieldError[] {
  const seen = new Set<string>()
  return (conditions ?? []).flatMap(({ type = '' }, i) => {
    const out: FieldError[] = []
    if (seen.has(type)) out.push(duplicate(`status.conditions[${i}].type`, type))
    seen.add(type)
    if (type === '') out.push(required(`status.conditions[${i}].type`))
    return out
  })
}
