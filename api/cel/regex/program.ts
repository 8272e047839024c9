/** The tree as instructions of a nondeterministic machine, in order of preference. */
import type { Assertion, CharSet, RegexNode } from './parse.ts'
import { RegexError } from './parse.ts'

export type Instruction =
  | { op: 'set'; set: CharSet; next: number }
  /** Prefers `next`. */
  | { op: 'split'; next: number; other: number }
  | { op: 'assert'; what: Assertion; next: number }
  | { op: 'match' }

/** Repeats are written out: this bounds what they may grow to. */
const INSTRUCTIONS_MAX = 20_000

export function assemble(root: RegexNode): { code: Instruction[]; start: number } {
  const code: Instruction[] = [{ op: 'match' }]
  const add = (i: Instruction): number => {
    if (code.length >= INSTRUCTIONS_MAX) throw new RegexError('expression too large', '')
    return code.push(i) - 1
  }
  /** Returns where `node` starts if it goes on at `next`. */
  const emit = (node: RegexNode, next: number): number => {
    switch (node.kind) {
      case 'empty': return next
      case 'set': return add({ op: 'set', set: node.set, next })
      case 'assert': return add({ op: 'assert', what: node.what, next })
      case 'sequence': return node.items.reduceRight((after, item) => emit(item, after), next)
      case 'alternatives': return node.items.slice(0, -1).reduceRight((other, item) => add({ op: 'split', next: emit(item, next), other }), emit(node.items.at(-1) as RegexNode, next))
      case 'repeat': return repeat(node, next)
    }
  }
  const repeat = ({ item, min, max, greedy }: RegexNode & { kind: 'repeat' }, next: number): number => {
    const choice = (again: number, stop: number): Instruction => (greedy ? { op: 'split', next: again, other: stop } : { op: 'split', next: stop, other: again })
    let at = next
    if (max === Infinity) {
      const loop = add({ op: 'split', next: 0, other: 0 })
      code[loop] = choice(emit(item, loop), next)
      at = loop
    } else for (let i = min; i < max; i++) at = add(choice(emit(item, at), next))
    for (let i = 0; i < min; i++) at = emit(item, at)
    return at
  }
  return { start: emit(root, 0), code }
}
