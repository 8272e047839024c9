/** What is wrong with an expression, worded and drawn as upstream does: message, line, and a mark under the place. */
import { characters } from './value.ts'

export interface Issue { at: number; message: string }

/** An expression that cannot be parsed; caught by `compile`. */
export class SyntaxIssue {
  readonly issue: Issue
  constructor(at: number, message: string) { this.issue = { at, message } }
}

const ISSUES_MAX = 100
const SNIPPET_MAX = 16_384

/** `ERROR: <input>:1:6: message`, the line, and `.....^`; issues in the order of their places. */
export function formatIssues(source: string, issues: readonly Issue[]): string {
  const lines = source.split('\n')
  const starts: number[] = []
  let offset = 0
  for (const line of lines) {
    starts.push(offset)
    offset += line.length + 1
  }
  const sorted = issues.slice(0, ISSUES_MAX).sort((a, b) => a.at - b.at)
  const shown = sorted.map((issue) => formatIssue(issue, lines, starts))
  if (issues.length > ISSUES_MAX) shown.push(`${issues.length - ISSUES_MAX} more errors were truncated`)
  return shown.join('\n')
}

function formatIssue({ at, message }: Issue, lines: readonly string[], starts: readonly number[]): string {
  if (at < 0) return `ERROR: <input>:-1:0: ${message}`
  // There is no first letter, and no line to show.
  if (lines.length === 1 && lines[0] === '') return `ERROR: <input>:1:0: ${message}`
  let row = starts.length - 1
  while (row > 0 && (starts[row] as number) > at) row--
  const text = lines[row] as string
  const before = characters(text.slice(0, at - (starts[row] as number)))
  const head = `ERROR: <input>:${row + 1}:${before.length + 1}: ${message}`
  if (text.length > SNIPPET_MAX) return head
  const wide = (c: string): boolean => (c.codePointAt(0) as number) > 0x7f
  const under = before.map((c) => (wide(c) ? '\uff0e' : '.')).join('')
  const marked = characters(text.slice(at - (starts[row] as number)))[0]
  return `${head}\n | ${text.replaceAll('\t', ' ')}\n | ${under}${marked !== undefined && wide(marked) ? '\uff3e' : '^'}`
}
