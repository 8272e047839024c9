/** Mutating- and ValidatingWebhookConfiguration. */
import type { MutatingWebhook, MutatingWebhookConfiguration, ValidatingWebhook, ValidatingWebhookConfiguration } from '#api/types/index.ts'
import { checkDns1035Label, checkDnsSubdomain } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { defaultRules, FAILURE_POLICIES, MATCH_POLICIES, REINVOCATION_POLICIES, validateMatchConditions, validateRule } from './admission-rules.ts'
import { checkLabelSelector } from './check.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, count, nameColumn } from './table-columns.ts'
import { validateWebhookClient } from './webhook-client.ts'

const REVIEW_VERSIONS = ['v1', 'v1beta1']
const HARMLESS = ['None', 'NoneOnDryRun']
const SIDE_EFFECTS = ['None', 'NoneOnDryRun', 'Some', 'Unknown']
const TIMEOUT_SECONDS = 10

type Webhook = ValidatingWebhook & Pick<MutatingWebhook, 'reinvocationPolicy'>
type Configuration = ValidatingWebhookConfiguration | MutatingWebhookConfiguration

export const mutatingWebhookConfigurationStrategy: KindStrategy<MutatingWebhookConfiguration> = strategy<MutatingWebhookConfiguration>(true)
export const validatingWebhookConfigurationStrategy: KindStrategy<ValidatingWebhookConfiguration> = strategy<ValidatingWebhookConfiguration>(false)

function strategy<T extends Configuration>(mutating: boolean): KindStrategy<T> {
  return {
    requiresRevision: true,
    defaults(configuration) {
      for (const hook of configuration.webhooks ?? []) defaultWebhook(hook, mutating)
    },
    generation: (configuration, old) => !semanticEqual(configuration.webhooks, old.webhooks),
    validate: (configuration) => validateWebhooks(configuration.webhooks ?? [], STRICT),
    validateUpdate: (configuration, old) => validateWebhooks(configuration.webhooks ?? [], toleranceOf(old.webhooks ?? [])),
    columns: [nameColumn(), count('Webhooks', 'Webhooks indicates the number of webhooks registered in this configuration', (o) => (o.webhooks ?? []).length), ageColumn()],
  }
}

function defaultWebhook(hook: Webhook, mutating: boolean): void {
  hook.failurePolicy ??= 'Fail'
  hook.matchPolicy ??= 'Equivalent'
  hook.namespaceSelector ??= {}
  hook.objectSelector ??= {}
  hook.timeoutSeconds ??= TIMEOUT_SECONDS
  if (mutating) hook.reinvocationPolicy ??= 'Never'
  if (hook.clientConfig?.service) hook.clientConfig.service.port ??= 443
  defaultRules(hook.rules)
}

/** What an update may leave as it was though a new object could not have it. */
interface Strictness { harmless: boolean; knownVersion: boolean; uniqueNames: boolean }
const STRICT: Strictness = { harmless: true, knownVersion: true, uniqueNames: true }

function toleranceOf(old: readonly Webhook[]): Strictness {
  return {
    harmless: old.every((h) => HARMLESS.includes(h.sideEffects)),
    knownVersion: old.every(({ admissionReviewVersions: versions }) => versions.length === 0 || versions.some((v) => REVIEW_VERSIONS.includes(v))),
    uniqueNames: new Set(old.map((h) => h.name)).size === old.length,
  }
}

function validateWebhooks(hooks: readonly Webhook[], strict: Strictness): FieldError[] {
  const seen = new Set<string>()
  return hooks.flatMap((hook, i) => {
    const at = `webhooks[${i}]`
    const out = [...validateWebhook(at, hook, strict), ...validateReviewVersions(`${at}.admissionReviewVersions`, hook.admissionReviewVersions ?? [], strict)]
    if (strict.uniqueNames && hook.name && seen.has(hook.name)) out.push(duplicate(`${at}.name`, hook.name))
    seen.add(hook.name)
    return out
  })
}

function validateWebhook(at: string, hook: Webhook, strict: Strictness): FieldError[] {
  const out = validateFullName(`${at}.name`, hook.name)
  for (const [i, rule] of (hook.rules ?? []).entries()) out.push(...validateRule(`${at}.rules[${i}]`, rule))
  const choice = (key: 'failurePolicy' | 'matchPolicy' | 'reinvocationPolicy', allowed: readonly string[]): void => {
    const value = hook[key]
    if (value !== undefined && !allowed.includes(value)) out.push(notSupported(`${at}.${key}`, value, allowed))
  }
  choice('failurePolicy', FAILURE_POLICIES)
  choice('matchPolicy', MATCH_POLICIES)
  const effects = strict.harmless ? HARMLESS : SIDE_EFFECTS
  if (hook.sideEffects === undefined) out.push(required(`${at}.sideEffects`, `must specify one of ${effects.join(', ')}`))
  else if (!effects.includes(hook.sideEffects)) out.push(notSupported(`${at}.sideEffects`, hook.sideEffects, effects))
  const seconds = hook.timeoutSeconds
  if (seconds !== undefined && (seconds > 30 || seconds < 1)) out.push(invalid(`${at}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'))
  out.push(...checkLabelSelector(`${at}.namespaceSelector`, hook.namespaceSelector), ...checkLabelSelector(`${at}.objectSelector`, hook.objectSelector))
  choice('reinvocationPolicy', REINVOCATION_POLICIES)
  return [...out, ...validateWebhookClient(`${at}.clientConfig`, hook.clientConfig), ...validateMatchConditions(`${at}.matchConditions`, hook.matchConditions)]
}

/** At least three segments, so that names of different owners do not meet. */
function validateFullName(at: string, name: string | undefined): FieldError[] {
  if (!name) return [required(at)]
  const wrong = checkDnsSubdomain(name)
  if (wrong.length > 0) return [invalid(at, name, wrong.join(','))]
  return name.split('.').length < 3 ? [invalid(at, name, 'should be a domain with at least three segments separated by dots')] : []
}

function validateReviewVersions(at: string, versions: readonly string[], strict: Strictness): FieldError[] {
  if (versions.length === 0) return [required(at, `must specify one of ${REVIEW_VERSIONS.join(', ')}`)]
  const out = versions.flatMap((version, i) => (versions.indexOf(version) < i ? [invalid(`${at}[${i}]`, version, 'duplicate version')] : checkDns1035Label(version).map((m) => invalid(`${at}[${i}]`, version, m))))
  if (strict.knownVersion && !versions.some((v) => REVIEW_VERSIONS.includes(v))) out.push(invalid(at, versions, `must include at least one of ${REVIEW_VERSIONS.join(', ')}`))
  return out
}
