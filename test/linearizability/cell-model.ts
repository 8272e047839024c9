/** A few objects as one sequential thing: what Kubernetes promises of get, create, update, patch, delete and list. */
import type { Content, Operation } from './history.ts'
import type { Model } from './linearizable.ts'

/** Contents by key; a key that is not there has none. Never changed. */
export type CellState = Readonly<Record<string, Content>>

export const cellModel: Model<CellState, Operation> = {
  initial: {},
  keyOf: (state) => Object.keys(state).sort().map((key) => `${key}=${state[key] ?? ''}`).join(' '),
  step(state, { action, outcome }) {
    const unknown = outcome.kind === 'unknown'
    if (action.kind === 'list') return outcome.kind === 'listed' && isSame(state, outcome.objects) ? state : undefined
    const { key } = action
    // Who expected something and lost against a deletion may be told either way.
    const isConflictWithNothing = 'expected' in action && outcome.kind === 'conflict'
    const current = state[key]
    switch (action.kind) {
      case 'get':
        return outcome.kind === 'seen' && outcome.content === current ? state : undefined
      case 'create':
        if (current !== undefined) return outcome.kind === 'conflict' || unknown ? state : undefined
        return stored(action.token)
      case 'put':
        if (current === undefined) return outcome.kind === 'missing' || isConflictWithNothing || unknown ? state : undefined
        if (action.expected !== undefined && action.expected !== current) return outcome.kind === 'conflict' || unknown ? state : undefined
        return stored(action.token)
      case 'add':
        if (current === undefined) return outcome.kind === 'missing' || unknown ? state : undefined
        // A patch that lost five times against others is given up, and says so.
        return outcome.kind === 'conflict' ? state : stored(withToken(current, action.token))
      case 'delete': {
        if (current === undefined) return outcome.kind === 'missing' || isConflictWithNothing || unknown ? state : undefined
        if (action.expected !== undefined && action.expected !== current) return outcome.kind === 'conflict' || unknown ? state : undefined
        if (outcome.kind !== 'deleted' && !unknown) return undefined
        const { [key]: _, ...rest } = state
        return rest
      }
    }

    function stored(content: Content): CellState | undefined {
      return unknown || (outcome.kind === 'stored' && outcome.content === content) ? { ...state, [key]: content } : undefined
    }
  },
}

export function withToken(content: Content, token: string): Content {
  return [...content.split('+'), token].sort().join('+')
}

/** The outcome lists this cell's objects only. */
function isSame(state: CellState, objects: Readonly<Record<string, { content: Content }>>): boolean {
  const keys = Object.keys(objects)
  return keys.length === Object.keys(state).length && keys.every((key) => objects[key]?.content === state[key])
}
