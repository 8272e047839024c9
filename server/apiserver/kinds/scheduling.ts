/** Priority classes and runtime classes: what pods refer to by name. */
import type { PriorityClass, RuntimeClass } from '#api/types/index.ts'
import { checkDnsLabel } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { checkLabels, immutable, oneOf, requiredName } from './check.ts'
import { validateResources } from './resources-validation.ts'
import { validateTolerations } from './pod-spec-validation.ts'
import { nodeSelectorWarnings } from './label-warnings.ts'
import { ageColumn, column, count, nameColumn } from './table-columns.ts'

/** Above this only the system's own classes. */
export const USER_PRIORITY_MAX = 1_000_000_000
export const SYSTEM_PRIORITY_CLASSES: Readonly<Record<string, number>> = { 'system-node-critical': 2_000_001_000, 'system-cluster-critical': 2_000_000_000 }

export const priorityClassStrategy: KindStrategy<PriorityClass> = {
  defaults(c) {
    c.preemptionPolicy ??= 'PreemptLowerPriority'
    c.value ??= 0
  },
  generation: () => false,
  validate(c): FieldError[] {
    const name = c.metadata?.name ?? ''
    const out: FieldError[] = []
    if (name.startsWith('system-')) {
      const problem = systemClassProblem(name, c)
      if (problem !== undefined) out.push(forbidden('metadata.name', `priority class names with 'system-' prefix are reserved for system use only. error: ${problem}`))
    } else if ((c.value ?? 0) > USER_PRIORITY_MAX) {
      out.push(forbidden('value', `maximum allowed value of a user defined priority is ${USER_PRIORITY_MAX}`))
    }
    return [...out, ...oneOf('preemptionPolicy', c.preemptionPolicy, ['PreemptLowerPriority', 'Never'], 'required')]
  },
  validateUpdate: (c, old) => [
    ...((c.value ?? 0) === (old.value ?? 0) ? [] : [forbidden('value', 'may not be changed in an update.')]),
    ...immutable('preemptionPolicy', c.preemptionPolicy, old.preemptionPolicy),
  ],
  columns: [
    nameColumn(),
    count('Value', 'value represents the integer value of this priority class.', (o) => o.value ?? 0),
    column('Global-Default', 'globalDefault specifies whether this PriorityClass should be considered as the default priority for pods that do not have any priority class.', (o) => o.globalDefault ?? false, { type: 'boolean' }),
    ageColumn(),
    column('PreemptionPolicy', 'preemptionPolicy is the Policy for preempting pods with lower priority.', (o) => o.preemptionPolicy ?? ''),
  ],
}

function systemClassProblem(name: string, { value, globalDefault }: PriorityClass): string | undefined {
  const known = Object.hasOwn(SYSTEM_PRIORITY_CLASSES, name) ? SYSTEM_PRIORITY_CLASSES[name] : undefined
  if (known === undefined) return `${name} is not a known system priority class`
  if (known !== value) return `value of ${name} PriorityClass must be ${known}`
  return globalDefault === true ? `globalDefault of ${name} PriorityClass must be false` : undefined
}

export const runtimeClassStrategy: KindStrategy<RuntimeClass> = {
  finalizers: 'plain',
  requiresRevision: true,
  generation: false,
  validate: validateRuntimeClass,
  validateUpdate: (c, old) => [...validateRuntimeClass(c), ...immutable('handler', c.handler, old.handler)],
  warnings: (c) => nodeSelectorWarnings('scheduling.nodeSelector', c.scheduling?.nodeSelector),
  columns: [nameColumn(), column('Handler', 'handler specifies the underlying runtime and configuration that the CRI implementation will use to handle pods of this class.', (o) => o.handler), ageColumn()],
}

function validateRuntimeClass(c: RuntimeClass): FieldError[] {
  const tolerations = c.scheduling?.tolerations ?? []
  return [
    ...requiredName('handler', c.handler, checkDnsLabel),
    ...(c.overhead?.podFixed ? validateResources('overhead', { limits: c.overhead.podFixed }) : []),
    ...checkLabels('scheduling.nodeSelector', c.scheduling?.nodeSelector),
    ...validateTolerations('scheduling.tolerations', tolerations),
    ...tolerations.flatMap((toleration, i) => (tolerations.slice(0, i).some((other) => (['key', 'operator', 'value', 'effect'] as const).every((key) => (other[key] ?? '') === (toleration[key] ?? ''))) ? [duplicate(`scheduling.tolerations[${i}]`, toleration)] : [])),
  ]
}
