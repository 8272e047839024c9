/** When a container is to be restarted by what it exits with (KEP-5307). */
import type { Container } from '#api/types/index.ts'
import { type FieldError, notSupported, required, tooLong } from '../field-error.ts'

const ACTIONS = ['Restart', 'RestartAllContainers']
const OPERATORS = ['In', 'NotIn']
const RULES_MAX = 20
const EXIT_CODES_MAX = 255

export function validateRestartRules(path: string, { restartPolicy, restartPolicyRules: rules = [] }: Container): FieldError[] {
  if (rules.length === 0) return []
  const out = restartPolicy === undefined ? [required(`${path}.restartPolicy`, 'must specify restartPolicy when restart rules are used')] : []
  const list = `${path}.restartPolicyRules`
  if (rules.length > RULES_MAX) out.push(tooLong(list, RULES_MAX))
  for (const [i, { action, exitCodes }] of rules.entries()) {
    const at = `${list}[${i}]`
    if (!ACTIONS.includes(action)) out.push(notSupported(`${at}.action`, action, ACTIONS))
    if (!exitCodes) {
      out.push(required(`${at}.exitCodes`, 'must be specified'))
      continue
    }
    if (!OPERATORS.includes(exitCodes.operator ?? '')) out.push(notSupported(`${at}.exitCodes.operator`, exitCodes.operator ?? '', OPERATORS))
    if ((exitCodes.values ?? []).length > EXIT_CODES_MAX) out.push(tooLong(`${at}.exitCodes.values`, EXIT_CODES_MAX))
  }
  return out
}
