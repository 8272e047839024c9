/** baseline.json: the figures a run is compared with; re-recorded by --record, reviewed like code. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Figure } from './figure.ts'

const PATH = join(import.meta.dirname, 'baseline.json')

export function readBaseline(): Record<string, number> {
  return existsSync(PATH) ? (JSON.parse(readFileSync(PATH, 'utf8')) as Record<string, number>) : {}
}

/** Figures that were not measured this time keep their old value. */
export function recordBaseline(figures: readonly Figure[]): void {
  const values = { ...readBaseline(), ...Object.fromEntries(figures.map((f) => [f.name, Number(f.value.toPrecision(4))])) }
  writeFileSync(PATH, `${JSON.stringify(values, undefined, 2)}\n`)
}
