/** Expressions over claims and users (`apiserver/pkg/authentication/cel`). CEL itself is loaded by who asks for the tools. */
import type { CelType, Json, Program } from '#api/cel/index.ts'

export type { Program } from '#api/cel/index.ts'

type Cel = typeof import('#api/cel/index.ts')
type Made = { ok: true; program: Program } | { ok: false; error: string }

export interface CelTools {
  /** Sees `claims`. `isRule`: must be a bool. */
  claims(expression: string, isRule: boolean): Made
  /** Sees `user`; must be a bool. */
  user(expression: string): Made
  /** Throws the expression's own error. */
  evaluate(program: Program, bindings: Readonly<Record<string, unknown>>): Json
  /** Whether the expression reads `claims.<name>`, plainly or as `claims.?<name>`. */
  readsClaim(program: Program, name: string): boolean
}

export async function loadCelTools(): Promise<CelTools> {
  return celTools(await import('#api/cel/index.ts'))
}

function celTools(cel: Cel): CelTools {
  const claims: CelType = cel.map(cel.STRING, { kind: 'any' })
  const user = cel.object('kubernetes.UserInfo', { username: cel.STRING, uid: cel.STRING, groups: cel.list(cel.STRING), extra: cel.map(cel.STRING, cel.list(cel.STRING)) })
  const make = (expression: string, variables: Record<string, CelType>, isRule: boolean): Made => {
    const made = cel.compile(expression, { variables, ...(isRule && { resultTypes: [cel.BOOL] }) })
    if (made.ok) return made
    const before = made.kind === 'result' ? '' : made.kind === 'program' ? 'program instantiation failed: ' : 'compilation failed: '
    return { ok: false, error: `${before}${made.error}` }
  }
  return {
    claims: (expression, isRule) => make(expression, { claims }, isRule),
    user: (expression) => make(expression, { user }, true),
    evaluate(program, bindings) {
      const result = program.evaluate(bindings, { costLimit: cel.PER_CALL_LIMIT })
      if (!result.ok) throw new Error(`expression '${program.expression}' resulted in error: ${result.error}`)
      return cel.toJson(result.value)
    },
    readsClaim: (program, name) => readsClaim(cel, program, name),
  }
}

/** The operator that `a.?b` becomes. */
const OPTIONAL_SELECT = '_?._'

function readsClaim(cel: Cel, { ast }: Program, name: string): boolean {
  const todo = [ast]
  for (let node = todo.pop(); node; node = todo.pop()) {
    if (node.kind === 'select' && node.field === name && isClaims(node.operand)) return true
    const [from, field] = node.kind === 'call' && node.fn === OPTIONAL_SELECT ? node.args : []
    if (isClaims(from) && field?.kind === 'literal' && field.value === name) return true
    todo.push(...cel.children(node))
  }
  return false
}

const isClaims = (node: Program['ast'] | undefined): boolean => node?.kind === 'ident' && node.name === 'claims'
