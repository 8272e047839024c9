/** What is to be done about one CustomResourceDefinition: its names, its conditions, its end. Pure. */
import type { CustomResourceDefinition, CustomResourceDefinitionCondition, CustomResourceDefinitionNames } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { apiApproval, isProtectedGroup } from './api-approval.ts'
import { isCertificateBundle } from './certificate-bundle.ts'
import { CLEANUP_FINALIZER, findCondition, isConditionTrue, type Definition } from './definition.ts'

export type DefinitionAction =
  | { kind: 'writeStatus'; status: NonNullable<CustomResourceDefinition['status']>; resourceVersion: number }
  | { kind: 'deleteInstances' }
  | { kind: 'removeFinalizer'; finalizers: string[]; resourceVersion: number }

export interface DefinitionView {
  definition: Definition
  /** Names that the group's other definitions have been given. */
  taken: { resources: ReadonlySet<string>; kinds: ReadonlySet<string> }
  /** Objects left; undefined: they do not matter now. */
  instances: number | undefined
  /** The resource is one of the built-in kinds', whose objects are not the definition's. */
  isBuiltin: boolean
}

/** Instances that are going are looked for again this often, should no event tell of their end. */
const LOOK_AGAIN_MS = 5_000

export function decideDefinition(view: DefinitionView, ctx: DecideContext): Decision<DefinitionAction> {
  return view.definition.deletionTimestamp === undefined ? decideNames(view, ctx) : decideEnd(view, ctx)
}

function decideNames({ definition, taken }: DefinitionView, ctx: DecideContext): Decision<DefinitionAction> {
  const { status } = definition
  const names = acceptNames(definition, taken)
  const conditions = [...(status.conditions ?? [])]
  setCondition(conditions, names.condition, ctx)
  const established = findCondition({ status: { conditions } }, 'Established')
  if (established?.status !== 'True') setCondition(conditions, names.condition.status !== 'True' ? NOT_ACCEPTED : hasSoundCa(definition) ? ESTABLISHED : INVALID_CA, ctx)
  const approval = approvalCondition(definition)
  if (approval) setCondition(conditions, approval, ctx)
  const wanted = { ...status, acceptedNames: names.accepted, conditions, storedVersions: status.storedVersions ?? [] }
  if (same(wanted, { ...status, acceptedNames: status.acceptedNames, conditions: status.conditions ?? [], storedVersions: status.storedVersions ?? [] })) return nothing('names and conditions stand')
  return { actions: [{ kind: 'writeStatus', status: wanted, resourceVersion: definition.resourceVersion }], because: `names: ${names.condition.reason ?? ''}` }
}

const ESTABLISHED: CustomResourceDefinitionCondition = { type: 'Established', status: 'True', reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
const INVALID_CA: CustomResourceDefinitionCondition = { type: 'Established', status: 'False', reason: 'InvalidCABundle', message: 'The conversion webhook CABundle is invalid' }
const NOT_ACCEPTED: CustomResourceDefinitionCondition = { type: 'Established', status: 'False', reason: 'NotAccepted', message: 'not all names are accepted' }

function hasSoundCa({ conversion }: Definition): boolean {
  const bundle = conversion?.webhook?.clientConfig?.caBundle
  return !bundle || isCertificateBundle(bundle)
}

/** Each name that is free or ours already is accepted, whatever becomes of the others. */
function acceptNames({ names, status }: Definition, { resources, kinds }: DefinitionView['taken']): { accepted: CustomResourceDefinitionNames; condition: CustomResourceDefinitionCondition } {
  const had = status.acceptedNames
  const accepted: CustomResourceDefinitionNames = { ...had, kind: had?.kind ?? '', plural: had?.plural ?? '' }
  let conflict: { reason: string; message: string } | undefined
  const isFree = (name: string, before: string | undefined, used: ReadonlySet<string>) => name === before || !used.has(name)
  const inUse = (name: string) => `${JSON.stringify(name)} is already in use`
  const take = (key: 'plural' | 'singular' | 'kind' | 'listKind', used: ReadonlySet<string>, reason: string) => {
    const name = names[key] ?? ''
    if (isFree(name, had?.[key] ?? '', used)) accepted[key] = name
    else conflict = { reason, message: inUse(name) }
  }
  take('plural', resources, 'PluralConflict')
  take('singular', resources, 'SingularConflict')
  const clashes = (names.shortNames ?? []).filter((name) => !had?.shortNames?.includes(name) && resources.has(name))
  if (clashes.length > 0) conflict = { reason: 'ShortNamesConflict', message: clashes.length === 1 ? inUse(clashes[0] as string) : `[${clashes.map(inUse).join(', ')}]` }
  else if (names.shortNames) accepted.shortNames = names.shortNames
  else delete accepted.shortNames
  take('kind', kinds, 'KindConflict')
  take('listKind', kinds, 'ListKindConflict')
  if (names.categories) accepted.categories = names.categories
  else delete accepted.categories
  const condition = conflict ? { type: 'NamesAccepted', status: 'False', ...conflict } : { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' }
  return { accepted, condition }
}

function approvalCondition({ group, annotations }: Definition): CustomResourceDefinitionCondition | undefined {
  if (!isProtectedGroup(group)) return undefined
  const { state, reason } = apiApproval(annotations)
  const said = { invalid: ['False', 'InvalidAnnotation'], missing: ['False', 'MissingAnnotation'], approved: ['True', 'ApprovedAnnotation'], bypassed: ['False', 'UnapprovedAnnotation'] }[state] as [string, string]
  return { type: 'KubernetesAPIApprovalPolicyConformant', status: said[0], reason: said[1], message: reason }
}

function decideEnd({ definition, instances, isBuiltin }: DefinitionView, ctx: DecideContext): Decision<DefinitionAction> {
  const { finalizers, resourceVersion, status } = definition
  if (!finalizers.includes(CLEANUP_FINALIZER)) return nothing('others hold the definition')
  const told = (condition: CustomResourceDefinitionCondition): DefinitionAction[] => {
    const conditions = [...(status.conditions ?? [])]
    return setCondition(conditions, condition, ctx) ? [{ kind: 'writeStatus', status: { ...status, conditions }, resourceVersion }] : []
  }
  const over = (reason: string, message: string): Decision<DefinitionAction> => {
    const said = told({ type: 'Terminating', status: 'False', reason, message })
    // The finalizer goes when the reason has been written: the next pass finds it there.
    return said.length > 0 ? { actions: said, because: message } : { actions: [{ kind: 'removeFinalizer', finalizers: finalizers.filter((f) => f !== CLEANUP_FINALIZER), resourceVersion }], because: message }
  }
  if (isBuiltin) return over('OverlappingBuiltInResource', 'instances overlap with built-in resources in storage')
  if (!isConditionTrue(definition, 'Established')) return over('NeverEstablished', 'resource was never established')
  if (instances === 0) return over('InstanceDeletionCompleted', 'removed all instances')
  const begun = told({ type: 'Terminating', status: 'True', reason: 'InstanceDeletionInProgress', message: 'CustomResource deletion is in progress' })
  if (begun.length > 0) return { actions: begun, because: 'the instances are to go first' }
  return { actions: [{ kind: 'deleteInstances' }], because: `${instances ?? 0} instances are to go first`, wakeAtMs: ctx.nowMs + LOOK_AGAIN_MS }
}

/** Changes `conditions`; false: it says so already. */
function setCondition(conditions: CustomResourceDefinitionCondition[], wanted: CustomResourceDefinitionCondition, { nowMs }: DecideContext): boolean {
  const at = conditions.findIndex((c) => c.type === wanted.type)
  const now = `${new Date(nowMs).toISOString().slice(0, 19)}Z`
  const before = conditions[at]
  if (!before) conditions.push({ ...wanted, lastTransitionTime: now })
  else if (before.status === wanted.status && before.reason === wanted.reason && before.message === wanted.message) return false
  else conditions[at] = { ...before, ...wanted, ...(before.status !== wanted.status && { lastTransitionTime: now }) }
  return true
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
