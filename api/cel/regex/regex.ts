/**
 * Regular expressions as RE2 has them: time grows with text times pattern, whatever the pattern. Yes-or-no questions run on
 * states made as they are met (a lazy DFA); where the match is wanted, threads are kept in order of preference (Pike's machine).
 */
import { EvalError } from '../value.ts'
import type { Assertion } from './parse.ts'
import { parseRegex, RegexError, WORD } from './parse.ts'
import type { Instruction } from './program.ts'
import { assemble } from './program.ts'

/** Steps kept before starting afresh (some 100 KB): bounds memory, not what can be matched. */
const STEPS_MAX = 2_000
/** Compiled patterns kept, those used last: a cluster's schemas have some hundreds. */
const CACHE_MAX = 256

const cache = new Map<string, Regex>()

/** Throws EvalError for a pattern that is none. */
export function compileRegex(pattern: string): Regex {
  const known = cache.get(pattern)
  if (known) {
    cache.delete(pattern)
    cache.set(pattern, known)
    return known
  }
  const regex = parsed(pattern)
  if (cache.size >= CACHE_MAX) for (const oldest of cache.keys()) { cache.delete(oldest); break }
  cache.set(pattern, regex)
  return regex
}

function parsed(pattern: string): Regex {
  try {
    return new Regex(assemble(parseRegex(pattern)))
  } catch (e) {
    if (e instanceof RegexError) throw new EvalError(e.message)
    throw e
  }
}

/** What asserts see around a place; -1 outside the text. */
const holds = (what: Assertion, before: number, after: number): boolean => {
  switch (what) {
    case 'text-start': return before === -1
    case 'text-end': return after === -1
    case 'line-start': return before === -1 || before === 10
    case 'line-end': return after === -1 || after === 10
    case 'word': return (before !== -1 && WORD(before)) !== (after !== -1 && WORD(after))
    case 'not-word': return (before !== -1 && WORD(before)) === (after !== -1 && WORD(after))
  }
}

interface State { /** Instructions waiting for the next character; assertions are not looked at yet. */ pcs: readonly number[]; next: Map<number, State | true> }

export class Regex {
  readonly #code: readonly Instruction[]
  readonly #start: number
  #states = new Map<string, State>()
  #steps = 0

  constructor({ code, start }: { code: readonly Instruction[]; start: number }) {
    this.#code = code
    this.#start = start
  }

  /** Does it match anywhere in the text? */
  test(text: string): boolean {
    let state = this.#state([this.#start])
    let before = -1
    for (let i = 0; i <= text.length; ) {
      const after = i < text.length ? (text.codePointAt(i) as number) : -1
      // Before, after and state decide; before is folded into what it can matter for.
      const key = (after + 1) * 4 + (before === -1 ? 0 : before === 10 ? 1 : WORD(before) ? 2 : 3)
      let next = state.next.get(key)
      if (next === undefined) {
        next = this.#step(state, before, after)
        state.next.set(key, next)
        if (++this.#steps > STEPS_MAX) this.#forget()
      }
      if (next === true) return true
      state = next
      before = after
      i += after > 0xffff ? 2 : 1
    }
    return false
  }

  #state(pcs: readonly number[]): State {
    const key = pcs.join()
    const known = this.#states.get(key)
    if (known) return known
    const state: State = { pcs, next: new Map() }
    this.#states.set(key, state)
    return state
  }

  /** The state a match is in goes on; what it leads to is made again. */
  #forget(): void {
    for (const state of this.#states.values()) state.next.clear()
    this.#states.clear()
    this.#steps = 0
  }

  /** All that can be reached; a new attempt starts at every place. True: matched. */
  #step({ pcs }: State, before: number, after: number): State | true {
    const code = this.#code
    const seen = new Set<number>()
    const todo = [...pcs, this.#start]
    const next: number[] = []
    for (let pc = todo.pop(); pc !== undefined; pc = todo.pop()) {
      if (seen.has(pc)) continue
      seen.add(pc)
      const i = code[pc] as Instruction
      if (i.op === 'match') return true
      if (i.op === 'split') todo.push(i.other, i.next)
      else if (i.op === 'assert') {
        if (holds(i.what, before, after)) todo.push(i.next)
      } else if (after !== -1 && i.set(after)) next.push(i.next)
    }
    return this.#state([...new Set(next)].sort((a, b) => a - b))
  }

  /** The leftmost match from `from` on, of those the preferred one; undefined: none. */
  find(text: string, from = 0): { start: number; end: number } | undefined {
    const code = this.#code
    let threads: { pc: number; start: number }[] = []
    let best: { start: number; end: number } | undefined
    let before = from === 0 ? -1 : previousCodePoint(text, from)
    for (let i = from; i <= text.length; ) {
      const after = i < text.length ? (text.codePointAt(i) as number) : -1
      const width = after > 0xffff ? 2 : 1
      const seen = new Set<number>()
      const next: { pc: number; start: number }[] = []
      if (!best) threads.push({ pc: this.#start, start: i })
      let cut = false
      for (const thread of threads) {
        const stack = [thread.pc]
        for (let pc = stack.pop(); pc !== undefined && !cut; pc = stack.pop()) {
          if (seen.has(pc)) continue
          seen.add(pc)
          const at = code[pc] as Instruction
          if (at.op === 'match') {
            best = { start: thread.start, end: i }
            // Threads after this one are less preferred.
            cut = true
          } else if (at.op === 'split') stack.push(at.other, at.next)
          else if (at.op === 'assert') {
            if (holds(at.what, before, after)) stack.push(at.next)
          } else if (after !== -1 && at.set(after)) next.push({ pc: at.next, start: thread.start })
        }
        if (cut) break
      }
      threads = next
      if (threads.length === 0 && best) return best
      before = after
      i += width
    }
    return best
  }

  /** Up to `limit` matches that do not overlap; an empty match never touches the match before it. */
  findAll(text: string, limit: number): string[] {
    const found: string[] = []
    let from = 0
    let lastEnd = -1
    while (found.length < limit && from <= text.length) {
      const match = this.find(text, from)
      if (!match) break
      const empty = match.end === match.start
      if (!empty || match.start !== lastEnd) found.push(text.slice(match.start, match.end))
      lastEnd = match.end
      from = empty ? match.end + ((text.codePointAt(match.end) ?? 0) > 0xffff ? 2 : 1) : match.end
    }
    return found
  }
}

function previousCodePoint(text: string, at: number): number {
  const low = text.charCodeAt(at - 1)
  return low >= 0xdc00 && low <= 0xdfff && at >= 2 ? (text.codePointAt(at - 2) as number) : low
}
