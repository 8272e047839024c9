/** Looks at the board each time the node's status is looked at, and remembers what it saw for `/metrics`. */
import type { NodeCondition } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { MetricFamily } from '../../stats/metrics-text.ts'
import { openBoardReader, type BoardFacts, type BoardReader } from './facts.ts'
import { BOARD_CONDITIONS, boardMetrics, decideSigns, type Sign } from './signs.ts'

export interface BoardWatch {
  /** Never rejects. */
  look(): Promise<readonly Sign[]>
  /** As of the last look. */
  metrics(): MetricFamily[]
}

export interface BoardWatchDeps {
  root: string
  dataDir: string
  /** The node's conditions as the cluster has them. */
  told: () => readonly NodeCondition[]
  clock: Clock
  log: Log
}

/** Nothing signed today is valid before this: a board without a battery starts in 1970, or when it was last switched off. */
export const CLOCK_MS_MIN = Date.parse('2025-01-01T00:00:00Z')

export function createBoardWatch({ root, dataDir, told, clock, log }: BoardWatchDeps): BoardWatch {
  const state: { reader?: BoardReader; last?: { facts: BoardFacts; signs: readonly Sign[] } } = {}
  return {
    async look() {
      try {
        state.reader ??= await openBoardReader(root, dataDir)
        const facts = await state.reader.read()
        const known = state.last?.signs.map((s): [string, boolean] => [s.type, s.on])
          ?? told().filter((c) => BOARD_CONDITIONS.some((type) => type === c.type)).map((c): [string, boolean] => [c.type, c.status === 'True'])
        const signs = decideSigns({ facts, before: new Map(known), nowMs: clock.nowMs(), clockMsMin: CLOCK_MS_MIN })
        for (const sign of signs) if (sign.on && state.last?.signs.find((s) => s.type === sign.type)?.reason !== sign.reason) log.warn('the board has a problem', { condition: sign.type, message: sign.message })
        state.last = { facts, signs }
        return signs
      } catch (error) {
        log.warn('the board cannot be looked at', { error: asError(error) })
        return state.last?.signs ?? []
      }
    },
    metrics: () => (state.last === undefined ? [] : boardMetrics(state.last.signs, state.last.facts)),
  }
}
