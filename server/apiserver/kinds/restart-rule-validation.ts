/** When a container is to be restarted by what it exits with (KEP-5307). */
import type { Container } from '#api/types/index.ts'
import { type FieldError, notSupported, required, tooMany } from '../field-error.ts'
import { oneOf } from './check.ts'

const POLICIES = ['Always', 'Never', 'OnFailure']
const ACTIONS = ['Restart', 'RestartAllContainers']
const OPERATORS = ['In', 'NotIn']
const RULES_MAX = 20
const EXIT_CODES_MAX = 255

export function validateRestartRules(path: string, { restartPolicy, restartPolicyRules: rules = [] }: Container, isInit: boolean): FieldError[] {
  const out = oneOf(`${path}.restartPolicy`, restartPolicy, POLICIES, 'given')
  if (restartPolicy === undefined && rules.length > 0) out.push(required(`${path}.restartPolicy`, 'must specify restartPolicy when restart rules are used'))
  // Without a policy nobody looks at what rules an init container has.
  if (restartPolicy === undefined && isInit) return out
  const list = `${path}.restartPolicyRules`
  if (rules.length > RULES_MAX) out.push(tooMany(list, rules.length, RULES_MAX))
  for (const [i, { action, exitCodes }] of rules.entries()) {
    const at = `${list}[${i}]`
    if (!ACTIONS.includes(action)) out.push(notSupported(`${at}.action`, action, ACTIONS))
    if (!exitCodes) {
      out.push(required(`${at}.exitCodes`, 'must be specified'))
      continue
    }
    if (!OPERATORS.includes(exitCodes.operator ?? '')) out.push(notSupported(`${at}.exitCodes.operator`, exitCodes.operator ?? '', OPERATORS))
    const count = (exitCodes.values ?? []).length
    if (count > EXIT_CODES_MAX) out.push(tooMany(`${at}.exitCodes.values`, count, EXIT_CODES_MAX))
  }
  return out
}
