/**
 * A store with clients and watchers, in one function and without time: what several servers that are right, or wrong in
 * one known way, would have answered. Seeded, so that a history that the checker judges wrongly can be made again.
 */
import type { Random } from '#base/random.ts'
import { withToken } from './cell-model.ts'
import type { Action, Content, History, Operation, Outcome, WatchRecord } from './history.ts'

/** How a wrong store is wrong; each in a few of its answers only. */
export const MUTANTS = [
  'reads a replica that lags', 'lists a replica that lags', 'compares with a replica that lags', 'does not compare', 'patches what was there before',
  'shows a write that then fails', 'loses a write', 'applies a write twice', 'answers a failed write with success', 'gives a revision twice', 'lists two moments',
  'a watch skips', 'a watch repeats', 'a watch swaps', 'a reconnected watch skips',
] as const
export type Mutant = (typeof MUTANTS)[number]

interface Stored { content: Content; revision: number }
interface State { objects: Map<string, Stored>; revision: number }

const KEYS = ['k1', 'k2', 'k3']

export function simulate(random: Random, options: { clients: number; operations: number; mutant?: Mutant; /** Times as often wrong; default 1. */ wrongness?: number }): History {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random.next() * of.length)] as T
  const chance = (p: number): boolean => random.next() < p
  const isWrong = (mutant: Mutant, p = 0.2): boolean => options.mutant === mutant && chance(p * (options.wrongness ?? 1))
  let state: State = { objects: new Map(), revision: 1 }
  const past: State[] = [state]
  const changes: { type: 'ADDED' | 'MODIFIED' | 'DELETED'; key: string; content: Content; revision: number }[] = []
  const operations: Operation[] = []
  let tokens = 0
  let nowMs = 0

  /** The wrong ones: a state that was, not the newest where there is another. */
  const lagging = (): State => past[Math.max(0, past.length - 2 - Math.floor(random.next() * 3))] ?? state
  const change = (key: string, content: Content | undefined): number => {
    const before = state.objects.get(key)
    const objects = new Map(state.objects)
    const revision = isWrong('gives a revision twice') && changes.length > 0 ? state.revision : state.revision + 1 + Math.floor(random.next() * 2)
    if (content === undefined) objects.delete(key)
    else objects.set(key, { content, revision })
    state = { objects, revision }
    past.push(state)
    changes.push({ type: content === undefined ? 'DELETED' : before ? 'MODIFIED' : 'ADDED', key, content: content ?? before?.content ?? '', revision })
    return revision
  }
  const listed = (of: State): Outcome => ({ kind: 'listed', objects: Object.fromEntries(of.objects), revision: of.revision })

  /** The one moment at which it happens. */
  const happen = (action: Action): Outcome => {
    if (action.kind === 'list') {
      if (isWrong('lists a replica that lags')) return listed(lagging())
      if (isWrong('lists two moments')) {
        const old = lagging()
        return listed({ objects: new Map([...state.objects].map(([key, o]) => [key, chance(0.5) ? old.objects.get(key) ?? o : o])), revision: state.revision })
      }
      return listed(state)
    }
    const { key } = action
    if (action.kind === 'get') {
      const found = (isWrong('reads a replica that lags') ? lagging() : state).objects.get(key)
      return { kind: 'seen', content: found?.content, ...(found && { revision: found.revision }) }
    }
    const current = (isWrong('compares with a replica that lags') ? lagging() : state).objects.get(key)
    const write = (content: Content): Outcome => {
      if (isWrong('answers a failed write with success', 0.05) || isWrong('loses a write', 0.05)) return { kind: 'stored', content, revision: state.revision + 1 }
      return { kind: 'stored', content, revision: change(key, content) }
    }
    if (action.kind === 'create') return current ? { kind: 'conflict' } : write(action.token)
    if (!current) return { kind: 'missing' }
    if ('expected' in action && action.expected !== current.content && !isWrong('does not compare', 0.5)) return { kind: 'conflict' }
    switch (action.kind) {
      case 'put': return write(action.token)
      case 'add': return write(withToken((isWrong('patches what was there before') ? lagging().objects.get(key) ?? current : current).content, action.token))
      case 'delete':
        change(key, undefined)
        return { kind: 'deleted' }
    }
  }
  const choose = (): Action => {
    const key = pick(KEYS)
    const token = `t${++tokens}`
    const seen = pick(past.slice(-4)).objects.get(key)?.content
    const expected = seen !== undefined && chance(0.5) ? { expected: seen } : {}
    return pick<Action>([{ kind: 'get', key }, { kind: 'get', key }, { kind: 'list' }, { kind: 'create', key, token }, { kind: 'create', key, token }, { kind: 'put', key, token, ...expected }, { kind: 'put', key, token, ...expected }, { kind: 'add', key, token }, { kind: 'add', key, token }, { kind: 'delete', key, ...expected }])
  }

  // Each client has one operation under way; a turn moves one of them on: it is called, happens, returns.
  const underWay = new Map<string, { action: Action; callMs: number; outcome?: Outcome; isLost?: boolean }>()
  const names = Array.from({ length: options.clients }, (_, i) => `c${i}`)
  for (let left = options.operations; left > 0 || underWay.size > 0; nowMs++) {
    const client = pick(names)
    const job = underWay.get(client)
    if (!job) {
      if (left-- > 0) underWay.set(client, { action: choose(), callMs: nowMs })
    } else if (!job.outcome && !job.isLost) {
      // Some requests never arrive, some answers never do.
      if (chance(0.05)) {
        job.isLost = true
        // The wrong one shows what it then throws away.
        if (isWrong('shows a write that then fails', 1)) {
          const kept = state
          const made = changes.length
          happen(job.action)
          const shown = changes.slice(made)
          for (const c of shown) if (c.type !== 'DELETED') operations.push({ client: 'reader', server: 's', callMs: nowMs, returnMs: nowMs + 0.5, cell: 'k', action: { kind: 'get', key: c.key }, outcome: { kind: 'seen', content: c.content } })
          changes.splice(made)
          state = kept
          past.push(state)
        }
      } else {
        job.outcome = happen(job.action)
        if (chance(0.05)) job.isLost = true
        if (job.outcome.kind === 'stored' && isWrong('applies a write twice') && job.action.kind === 'put') {
          if (chance(0.5)) change(job.action.key, `t${++tokens}x`)
          change(job.action.key, job.action.token)
        }
      }
    } else {
      operations.push({ client, server: 's', callMs: job.callMs, returnMs: job.isLost ? Infinity : nowMs, cell: 'k', action: job.action, outcome: job.isLost || !job.outcome ? { kind: 'unknown' } : job.outcome })
      underWay.delete(client)
    }
  }
  // What nobody was told of cannot be missed: at the end somebody looks.
  operations.push({ client: 'last', server: 's', callMs: nowMs, returnMs: nowMs + 1, cell: 'k', action: { kind: 'list' }, outcome: listed(state) })

  const watcher = (name: string, isBad: boolean): { name: string; records: WatchRecord[] } => {
    const records: WatchRecord[] = [{ kind: 'listed', server: 's', objects: {}, revision: 1 }]
    const told = [...changes]
    const at = Math.floor(random.next() * Math.max(0, told.length - 2))
    const [one, two] = [told[at], told[at + 1]]
    if (isBad && one && two) {
      if (options.mutant === 'a watch skips') told.splice(at, 1)
      if (options.mutant === 'a watch repeats') told.splice(at, 0, one)
      if (options.mutant === 'a watch swaps') told.splice(at, 2, two, one)
    }
    for (const [i, c] of told.entries()) {
      if (chance(0.1)) records.push({ kind: 'connected', server: 's' })
      if (isBad && options.mutant === 'a reconnected watch skips' && i === at) records.push({ kind: 'connected', server: 's' })
      else records.push({ kind: 'change', change: c })
      if (chance(0.1)) records.push({ kind: 'bookmark', revision: c.revision })
    }
    return { name, records }
  }
  return { operations, watchers: [watcher('w1', false), watcher('w2', true)] }
}
