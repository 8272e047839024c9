/** Gathers differing answers by what they have in common, and prints each group with a count and one example. Pure. */
import type { Difference } from './differ.ts'
import { placeIn } from './documents.ts'
import type { Answer, Asked, Case } from './exchange.ts'

export interface Finding { case: Case; step: Asked; difference: Difference; ours: Answer; theirs: Answer; sent: unknown; known?: string }

export interface Group { key: string; count: number; example: Finding }

/** Names and numbers of cases are no reason to be a group. */
const blurred = (text: string): string => text.replace(/"(\\.|[^"\\])*"/g, '"…"').replace(/\bo\d+\b/g, 'o…').replace(/\d+/g, '#').slice(0, 160)
const shown = (value: unknown, chars: number): string => (value === undefined ? 'nothing' : JSON.stringify(value).slice(0, chars))

const there = (value: unknown): string => (value === undefined ? 'nothing' : 'something')

export function grouped(findings: readonly Finding[], byKind: boolean): Group[] {
  const groups = new Map<string, Group>()
  for (const finding of findings) {
    const { case: of, step, difference: { path, ours, theirs } } = finding
    const key = [byKind ? of.kind : '', of.family, step.form, ...(step.isDocument ? [placeIn(path), `${there(ours)} | ${there(theirs)}`] : [path.replace(/\d+/g, '#'), `${blurred(shown(ours, 400))} | ${blurred(shown(theirs, 400))}`])].join(' ~ ')
    const group = groups.get(key)
    if (group) group.count++
    else groups.set(key, { key, count: 1, example: finding })
  }
  return [...groups.values()].toSorted((a, b) => b.count - a.count)
}

const EXAMPLE_CHARS = 1_500

export function printGroup({ key, count, example: { step, sent, difference: { path, ours, theirs }, ours: answered, theirs: upstream } }: Group): string {
  return [
    `${count} x ${key}`,
    `    ${step.method} ${step.path}${step.type === undefined ? '' : ` (${step.type})`}`,
    `    sent      ${shown(sent, EXAMPLE_CHARS)}`,
    `    ${path}`,
    `    skiff     ${answered.status} ${shown(ours, EXAMPLE_CHARS)}`,
    `    upstream  ${upstream.status} ${shown(theirs, EXAMPLE_CHARS)}`,
  ].join('\n')
}
