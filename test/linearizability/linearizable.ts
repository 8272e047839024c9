/**
 * Is there one order of these operations, each somewhere between its call and its return, in which a plain sequential
 * object would have given these answers? The search of Wing and Gong (1993) with Lowe's memory (2017): a state that was
 * reached by the same set of operations before is not tried again. Knows nothing of keys or servers.
 */

export interface Interval<Op> {
  op: Op
  callMs: number
  /** Infinity: it may take effect at any time after its call, or never. */
  returnMs: number
}

export interface Model<State, Op> {
  readonly initial: State
  /** The state after it, or undefined where the object in this state could not have answered so. */
  step(state: State, op: Op): State | undefined
  /** Equal for equal states. */
  keyOf(state: State): string
}

export type Verdict<Op> =
  | { kind: 'linearizable' }
  /** The longest order that was found, and what could not follow it: one of these. */
  | { kind: 'impossible'; prefix: Op[]; stuck: Op[] }
  /** Given up after so many steps. */
  | { kind: 'undecided'; steps: number }

interface Node<Op> {
  /** Position in `linearized`. */
  bit: number
  op: Op
  isReturn: boolean
  /** Of a call: its return, undefined where that never came. */
  partner: Node<Op> | undefined
  previous: Node<Op> | undefined
  next: Node<Op> | undefined
}

export function checkLinearizable<State, Op>(intervals: readonly Interval<Op>[], model: Model<State, Op>, stepsMax: number): Verdict<Op> {
  const head = linked(intervals)
  let unreturned = intervals.filter((i) => i.returnMs !== Infinity).length
  const tried = new Set<string>()
  const path: { node: Node<Op>; state: State; linearized: bigint }[] = []
  let longest: { length: number; ops: Op[]; linearized: bigint } = { length: -1, ops: [], linearized: 0n }
  let state = model.initial
  let linearized = 0n
  let node = head.next
  for (let steps = 0; unreturned > 0; steps++) {
    if (steps >= stepsMax) return { kind: 'undecided', steps }
    if (node && !node.isReturn) {
      const after = model.step(state, node.op)
      // An operation of unknown outcome that would change nothing need not have happened.
      const isIdle = after === undefined || (!node.partner && model.keyOf(after) === model.keyOf(state))
      const bits: bigint = linearized | (1n << BigInt(node.bit))
      const memory = isIdle ? '' : `${bits.toString(36)} ${model.keyOf(after as State)}`
      if (isIdle || tried.has(memory)) {
        node = node.next
        continue
      }
      tried.add(memory)
      path.push({ node, state, linearized })
      state = after as State
      linearized = bits
      if (node.partner) unreturned--
      remove(node)
      if (node.partner) remove(node.partner)
      if (path.length > longest.length) longest = { length: path.length, ops: path.map((p) => p.node.op), linearized }
      node = head.next
      continue
    }
    // A return whose call was not placed, or the end: what was placed last was placed wrongly.
    const last = path.pop()
    if (!last) return { kind: 'impossible', prefix: longest.ops, stuck: stuckAfter(intervals, longest.linearized) }
    if (last.node.partner) {
      restore(last.node.partner)
      unreturned++
    }
    restore(last.node)
    state = last.state
    linearized = last.linearized
    node = last.node.next
  }
  return { kind: 'linearizable' }
}

/** Calls and returns in the order of time; at the same instant calls first, so that touching operations count as concurrent. */
function linked<Op>(intervals: readonly Interval<Op>[]): Node<Op> {
  const moments: { ms: number; node: Node<Op> }[] = []
  for (const [bit, { op, callMs, returnMs }] of intervals.entries()) {
    const end: Node<Op> | undefined = returnMs === Infinity ? undefined : { bit, op, isReturn: true, partner: undefined, previous: undefined, next: undefined }
    moments.push({ ms: callMs, node: { bit, op, isReturn: false, partner: end, previous: undefined, next: undefined } })
    if (end) moments.push({ ms: returnMs, node: end })
  }
  moments.sort((a, b) => a.ms - b.ms || Number(a.node.isReturn) - Number(b.node.isReturn))
  const head = { next: undefined } as unknown as Node<Op>
  let last = head
  for (const { node } of moments) {
    last.next = node
    node.previous = last
    last = node
  }
  return head
}

function remove<Op>(node: Node<Op>): void {
  if (node.previous) node.previous.next = node.next
  if (node.next) node.next.previous = node.previous
}

/** Only in the reverse order of removal. */
function restore<Op>(node: Node<Op>): void {
  if (node.previous) node.previous.next = node
  if (node.next) node.next.previous = node
}

/** The operations one of which had to come next: called before any of those that were left returned. */
function stuckAfter<Op>(intervals: readonly Interval<Op>[], linearized: bigint): Op[] {
  const left = intervals.filter((_, bit) => ((linearized >> BigInt(bit)) & 1n) === 0n)
  const firstReturn = Math.min(...left.map((i) => i.returnMs))
  return left.filter((i) => i.callMs <= firstReturn).map((i) => i.op)
}
