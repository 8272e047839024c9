/** metav1.Condition lists (apimachinery `ValidateConditions`). */
import type { Condition } from '#api/types/index.ts'
import { checkQualifiedName, regexMessage } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required, tooLong } from '../field-error.ts'
import { named } from './check.ts'

const REASON_FMT = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?'
const REASON = new RegExp(`^${REASON_FMT}$`)
const REASON_BYTES_MAX = 1024
const MESSAGE_BYTES_MAX = 32 * 1024
const STATUSES = ['False', 'True', 'Unknown']

export function validateConditions(at: string, conditions: readonly Condition[] | undefined): FieldError[] {
  const seen = new Set<string>()
  return (conditions ?? []).flatMap((condition, i) => {
    const out = seen.has(condition.type) ? [duplicate(`${at}[${i}].type`, condition.type)] : []
    seen.add(condition.type)
    return [...out, ...validateCondition(`${at}[${i}]`, condition)]
  })
}

function validateCondition(at: string, condition: Condition): FieldError[] {
  const { type, status, observedGeneration, lastTransitionTime, reason, message } = condition
  const out = named(`${at}.type`, type ?? '', checkQualifiedName)
  if (!STATUSES.includes(status)) out.push(notSupported(`${at}.status`, status ?? '', STATUSES))
  if ((observedGeneration ?? 0) < 0) out.push(invalid(`${at}.observedGeneration`, observedGeneration, 'must be greater than or equal to zero'))
  if (!lastTransitionTime) out.push(required(`${at}.lastTransitionTime`))
  if (!reason) out.push(required(`${at}.reason`))
  else {
    if (!REASON.test(reason)) out.push(invalid(`${at}.reason`, reason, regexMessage("a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'", REASON_FMT, 'my_name', 'MY_NAME', 'MyName', 'ReasonA,ReasonB', 'ReasonA:ReasonB')))
    if (Buffer.byteLength(reason) > REASON_BYTES_MAX) out.push(tooLong(`${at}.reason`, REASON_BYTES_MAX))
  }
  if (Buffer.byteLength(message ?? '') > MESSAGE_BYTES_MAX) out.push(tooLong(`${at}.message`, MESSAGE_BYTES_MAX))
  return out
}
