/** What is asked of the text of validation rules before they are compiled. Pure. */
import type { JSONSchemaProps } from '#api/types/index.ts'
import { invalid, notSupported, required, type FieldError } from '../../field-error.ts'
import { parseFieldPath } from '../rules/field-path.ts'
import { compileSchema } from '../schema/node.ts'
import { structuralProblem } from './structural.ts'

const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired']
const hasLineBreak = (text: string): boolean => /[\n\r]/.test(text)

export function ruleTextErrors(schema: JSONSchemaProps, at: string): FieldError[] {
  const out: FieldError[] = []
  for (const [i, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const field = `${at}.x-kubernetes-validations[${i}]`
    const { message = '', messageExpression = '', fieldPath = '', reason } = rule
    if (rule.rule.trim() === '') out.push(required(`${field}.rule`, 'rule is not specified'))
    else if (message !== '' && message.trim() === '') out.push(invalid(`${field}.message`, message, 'must be non-empty if specified'))
    else if (hasLineBreak(message.trim())) out.push(invalid(`${field}.message`, message, 'must not contain line breaks'))
    else if (hasLineBreak(rule.rule.trim()) && message.trim() === '') out.push(required(`${field}.message`, 'message must be specified if rule contains line breaks'))
    if (messageExpression !== '' && messageExpression.trim() === '') out.push(required(`${field}.messageExpression`, 'messageExpression must be non-empty if specified'))
    if (reason !== undefined && !REASONS.includes(reason)) out.push(notSupported(`${field}.reason`, reason, REASONS))
    if (fieldPath === '') continue
    if (fieldPath.trim() === '') out.push(invalid(`${field}.fieldPath`, fieldPath, 'must be non-empty if specified'))
    if (hasLineBreak(fieldPath)) out.push(invalid(`${field}.fieldPath`, fieldPath, 'must not contain line breaks'))
    if (structuralProblem(schema) === undefined && !parseFieldPath(fieldPath, compileSchema(schema)).ok) out.push(invalid(`${field}.fieldPath`, fieldPath, 'must be a valid path'))
  }
  return out
}
