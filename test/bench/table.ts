/** The figures as text: measured, budget, verdict, ratio to the stored baseline and to upstream. Pure. */
import { isOver, type Figure } from './figure.ts'

const COLUMNS = ['figure', 'measured', 'budget', '', 'baseline', 'x baseline', 'x upstream', 'note']

export function printTable(figures: readonly Figure[], baseline: Readonly<Record<string, number>>): string {
  const rows = figures.map((f) => row(f, baseline[f.name]))
  const widths = COLUMNS.map((title, i) => Math.max(title.length, ...rows.map((r) => (r[i] ?? '').length)))
  const line = (cells: readonly string[]): string => cells.map((cell, i) => (i === 0 || i === COLUMNS.length - 1 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ').trimEnd()
  return [line(COLUMNS), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n')
}

function row(figure: Figure, before: number | undefined): string[] {
  const { name, value, unit, budget, better, upstream, note } = figure
  const bound = better === 'lower' ? '<=' : '>='
  return [
    name, `${shown(value)} ${unit}`, budget === undefined ? '' : `${bound} ${shown(budget)} ${unit}`, budget === undefined ? '' : isOver(figure) ? 'OVER' : 'ok',
    before === undefined ? '' : shown(before), before === undefined || before === 0 ? '' : `${(value / before).toFixed(2)}`,
    upstream === undefined ? '' : `${shown(value / upstream)}`, note ?? '',
  ]
}

/** Three significant digits are what repeated runs agree on at best. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}
