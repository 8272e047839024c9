/** The rules at one place of a schema, compiled, with what they may cost at worst. */
import { BOOL, compile, estimateCost, optional, STRING, type CelType, type Program } from '#api/cel/index.ts'
import type { Expr } from '#api/cel/ast.ts'
import type { ValidationRule } from '#api/types/index.ts'
import type { SchemaNode } from '../schema/node.ts'
import { parseFieldPath } from './field-path.ts'

export interface CompiledRule {
  rule: ValidationRule
  /** Undefined: the rule is empty or does not compile. */
  program: Program | undefined
  /** Upstream's text. */
  error: string | undefined
  usesOldSelf: boolean
  message: Program | undefined
  messageError: string | undefined
  /** Where a failure is told, below the place; '' there itself. */
  fieldPath: string
  maxCost: number
  messageMaxCost: number
}

type Failures = Readonly<Record<'syntax' | 'check' | 'result' | 'program', (error: string) => string>>
const failed = (error: string): string => `compilation failed: ${error}`
const FAILURES: Failures = { syntax: failed, check: failed, result: () => 'cel expression must evaluate to a bool', program: (error) => `program instantiation failed: ${error}` }
const messageFailed = (error: string): string => `messageExpression compilation failed: ${error}`
const MESSAGE_FAILURES: Failures = { syntax: messageFailed, check: messageFailed, result: () => 'messageExpression must evaluate to a string', program: (error) => `messageExpression instantiation failed: ${error}` }

/** `type`: of `self`. `node` is where field paths start. */
export function compileRules(rules: readonly ValidationRule[], node: SchemaNode, type: CelType): CompiledRule[] {
  return rules.map((rule) => compileRule(rule, node, type))
}

function compileRule(rule: ValidationRule, node: SchemaNode, type: CelType): CompiledRule {
  const none: CompiledRule = { rule, program: undefined, error: undefined, usesOldSelf: false, message: undefined, messageError: undefined, fieldPath: '', maxCost: 0, messageMaxCost: 0 }
  if (rule.rule.trim() === '') return none
  const variables = { self: type, oldSelf: rule.optionalOldSelf ? optional(type) : type }
  const compiled = compile(rule.rule, { variables, resultTypes: [BOOL] })
  if (!compiled.ok) return { ...none, error: FAILURES[compiled.kind](compiled.error) }
  const { program } = compiled
  const done: CompiledRule = { ...none, program, usesOldSelf: names(program.ast, 'oldSelf'), maxCost: estimateCost(program.ast, type).max }
  if (rule.fieldPath) {
    const path = parseFieldPath(rule.fieldPath, node)
    if (path.ok) done.fieldPath = path.path
  }
  if (!rule.messageExpression) return done
  const message = compile(rule.messageExpression, { variables, resultTypes: [STRING] })
  if (!message.ok) return { ...done, messageError: MESSAGE_FAILURES[message.kind](message.error) }
  return { ...done, message: message.program, messageMaxCost: estimateCost(message.program.ast, type).max }
}

/** Whether the expression names the variable anywhere. */
function names(value: unknown, name: string): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some((item) => names(item, name))
  const expr = value as Partial<Expr>
  if (expr.kind === 'ident') return expr.name === name
  if (expr.kind === 'literal') return false
  for (const key of EXPRESSION_KEYS) if (key in value && names((value as Record<string, unknown>)[key], name)) return true
  return false
}

const EXPRESSION_KEYS = ['operand', 'target', 'args', 'items', 'entries', 'key', 'value', 'fields', 'range', 'init', 'condition', 'step', 'result'] as const
