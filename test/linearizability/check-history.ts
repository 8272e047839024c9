/** Everything that can be said about a history: each cell is linearizable, revisions and watches keep their promises. */
import { cellModel } from './cell-model.ts'
import { describeOperation, type Fault, type History, type Operation } from './history.ts'
import { checkLinearizable } from './linearizable.ts'
import { revisionsAreOfOneChange, revisionsInTime } from './revisions.ts'
import { checkWatches, type WatchFindings } from './watches.ts'

export interface Judgement {
  faults: Fault[]
  /** What the judgement rests on. */
  operations: number
  unknown: number
  /** Of the unknown: those that a complete watch shows never to have happened. */
  settled: number
  cells: number
  changes: number
}

/** How many operations before what cannot be explained are told with it. */
const TELL_BEFORE = 12

/** How far the search goes for one cell: seconds. */
const STEPS_MAX = 2_000_000

export function checkHistory(history: History, stepsMax = STEPS_MAX): Judgement {
  const watched = checkWatches(history)
  const { operations, settled } = withoutWhatNeverHappened(history.operations, watched)
  const cells = cellsOf(operations)
  const faults = [...watched.faults, ...revisionsInTime(history.operations), ...revisionsAreOfOneChange(history)]
  for (const [cell, ops] of cells) faults.push(...checkCell(cell, ops, stepsMax))
  return { faults, operations: history.operations.length, unknown: history.operations.filter((op) => op.outcome.kind === 'unknown').length, settled, cells: cells.size, changes: watched.changes.length }
}

function checkCell(cell: string, operations: readonly Operation[], stepsMax: number): Fault[] {
  const check = (ops: readonly Operation[]) => checkLinearizable(ops.map((op) => ({ op, callMs: op.callMs, returnMs: op.returnMs })), cellModel, stepsMax)
  // An order without them is one with them: they need not have happened. Only where there is none do they cost the search what they can.
  const seen = withoutWhatNobodySaw(operations)
  if (seen.length < operations.length && check(seen).kind === 'linearizable') return []
  const verdict = check(operations)
  if (verdict.kind === 'linearizable') return []
  if (verdict.kind === 'undecided') return [`${cell}: not decided after ${verdict.steps} steps (${operations.length} operations): give each cell fewer`]
  const lines = [...verdict.prefix.slice(-TELL_BEFORE).map((op) => `    ${describeOperation(op)}`), '  cannot go on with any of', ...verdict.stuck.map((op) => `    ${describeOperation(op)}`)]
  return [`${cell} is not linearizable. An order of ${verdict.prefix.length} operations, which ends with\n${lines.join('\n')}`]
}

/**
 * A write of unknown outcome stays possible to the end, which costs the search dearly. Where watches told all that
 * changed up to the newest revision anybody knows, a write whose token nobody was told of never happened.
 */
function withoutWhatNeverHappened(operations: readonly Operation[], { changes, completeTo }: WatchFindings): { operations: readonly Operation[]; settled: number } {
  const newest = Math.max(0, ...operations.map((op) => ('revision' in op.outcome ? op.outcome.revision ?? 0 : 0)))
  if (completeTo === undefined || completeTo < newest) return { operations, settled: 0 }
  const happened = new Set(changes.flatMap((c) => c.content.split('+')))
  const left = operations.filter(({ action, outcome }) => outcome.kind !== 'unknown' || !('token' in action) || happened.has(action.token))
  return { operations: left, settled: operations.length - left.length }
}

/** Without writes of unknown outcome whose token is in no answer. */
function withoutWhatNobodySaw(operations: readonly Operation[]): readonly Operation[] {
  const seen = new Set(operations.flatMap(({ outcome }) => {
    if (outcome.kind === 'listed') return Object.values(outcome.objects).flatMap((o) => o.content.split('+'))
    return 'content' in outcome ? outcome.content?.split('+') ?? [] : []
  }))
  return operations.filter(({ action, outcome }) => outcome.kind !== 'unknown' || !('token' in action) || seen.has(action.token))
}

/** Lists of everything are lists of each cell that was in use then; those that may be old are left to the watches. */
function cellsOf(operations: readonly Operation[]): Map<string, Operation[]> {
  const cells = new Map<string, Operation[]>()
  const whole: Operation[] = []
  for (const op of operations) {
    if (op.action.kind === 'list' && (op.action.notOlderThan !== undefined || op.outcome.kind === 'unknown')) continue
    if (op.action.kind === 'get' && op.outcome.kind === 'unknown') continue
    if (op.cell === '') whole.push(op)
    else cells.set(op.cell, [...(cells.get(op.cell) ?? []), op])
  }
  for (const [cell, ops] of cells) {
    const firstMs = Math.min(...ops.map((op) => op.callMs))
    const lastMs = Math.max(...ops.map((op) => (op.returnMs === Infinity ? op.callMs : op.returnMs)))
    for (const list of whole) {
      if (list.outcome.kind !== 'listed' || list.returnMs < firstMs || list.callMs > lastMs) continue
      const objects = Object.fromEntries(Object.entries(list.outcome.objects).filter(([key]) => key.startsWith(cell)))
      ops.push({ ...list, cell, outcome: { ...list.outcome, objects } })
    }
  }
  return cells
}
