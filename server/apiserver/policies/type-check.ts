/** What a policy's expressions get wrong about the kinds it names: warnings for its status, no refusals (apiserver `validating/typechecking.go`). */
import type { ValidatingAdmissionPolicy } from '#api/types/index.ts'
import type { CelObjectType, OpenApiSchema } from '#api/cel/index.ts'
import type { KindRow } from '../kind.ts'
import type { Rows } from '../rows.ts'
import { typesOf } from '../verbs/call.ts'
import type { NamedRule } from './compile-policy.ts'
import type { Cel } from './expressions.ts'

export interface ExpressionWarning { fieldRef: string; warning: string }

/** Upstream's: so many kinds are tried. */
const KINDS_MAX = 10

export function typeWarnings(cel: Cel, policy: ValidatingAdmissionPolicy, rows: Rows): ExpressionWarning[] {
  const { spec } = policy
  const kinds = kindsToCheck(spec?.matchConstraints?.resourceRules ?? [], rows)
  const paramKind = spec?.paramKind
  const paramRow = paramKind && rows.findKind(paramKind.apiVersion ?? '', paramKind.kind ?? '')
  const params = paramRow && typeOfRow(cel, paramRow)
  const check = (expression: string): string => kinds.map((row) => problem(cel, policy, expression, row, params)).filter((text) => text !== '').join('\n')
  return (spec?.validations ?? []).flatMap(({ expression, messageExpression }, i) => {
    const at = `spec.validations[${i}]`
    return [[`${at}.expression`, expression], [`${at}.messageExpression`, messageExpression]].flatMap(([fieldRef = '', text]) => {
      const warning = text ? check(text) : ''
      return warning === '' ? [] : [{ fieldRef, warning }]
    })
  })
}

/** Of a custom resource: as its definition has it, formats and all; what every object has comes from the model. */
function typeOfRow(cel: Cel, row: KindRow): CelObjectType | undefined {
  const model = cel.modelToCelType(typesOf(row), row.model, row.ref.kind)
  if (!row.custom || !model) return model
  const own = cel.schemaToCelType(row.custom.definition('v3').object({ type: 'object' }) as OpenApiSchema, { name: row.ref.kind })
  return own?.kind === 'object' ? { ...model, field: (name) => (SHARED.has(name) ? model.field(name) : own.field(name)) } : model
}

const SHARED: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata'])

/** Those that the rules name without wildcards, in order. */
function kindsToCheck(rules: readonly NamedRule[], rows: Rows): KindRow[] {
  const found = new Set<KindRow>()
  for (const { apiGroups = [], apiVersions = [], resources = [] } of rules) {
    if ([...apiGroups, ...apiVersions].some((text) => text.includes('*'))) continue
    for (const group of apiGroups) for (const version of apiVersions) {
      for (const resource of resources.filter((text) => !/[*/]/.test(text))) {
        const row = rows.find(group, version, resource)
        if (row && found.size < KINDS_MAX) found.add(row)
      }
    }
  }
  const key = ({ ref }: KindRow): string => [ref.group, ref.version, ref.kind].join('\0')
  return [...found].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** '' where nothing is wrong. */
function problem(cel: Cel, { spec }: ValidatingAdmissionPolicy, expression: string, row: KindRow, params: CelObjectType | undefined): string {
  const object = typeOfRow(cel, row)
  if (!object) return ''
  const known = { ...cel.admissionVariables({ params: spec?.paramKind !== undefined, authorizer: true }), object, oldObject: object, ...(params && { params }) }
  const types: Record<string, Parameters<typeof cel.formatType>[0]> = {}
  const compile = (text: string) => cel.compile(text, { variables: { ...known, variables: cel.object('kubernetes.variables', types) } })
  for (const { name, expression: text } of spec?.variables ?? []) {
    const made = compile(text)
    types[name] = made.ok ? made.program.resultType : cel.DYN
  }
  const made = compile(expression)
  return made.ok || made.kind === 'program' ? '' : `${row.ref.group}/${row.ref.version}, Kind=${row.ref.kind}: ${made.error}\n`
}
