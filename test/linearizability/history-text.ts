/**
 * Histories as text, for tests that read like the story they tell. A line is one operation or one watch record:
 *   10-20 c1 create k t1 -> t1 @5          0-5 c1 get k -> t1 | nothing          0-5 c1 list -> k=t1@5 j=t2@6 @6
 *   10-20 c1 put k t2 if t1 -> conflict    30-? c1 add k t3 -> unknown           0-5 c1 delete k -> deleted | missing
 *   w1 list @4 k=t1@3      w1 connected     w1 ADDED k=t1 @5     w1 bookmark @9
 */
import type { Action, Content, History, Operation, Outcome, WatchRecord } from './history.ts'

export function parseHistory(text: string): History {
  const operations: Operation[] = []
  const watchers = new Map<string, WatchRecord[]>()
  for (const line of text.split('\n').map((l) => l.trim()).filter((l) => l !== '' && !l.startsWith('#'))) {
    if (/^\d/.test(line)) operations.push(parseOperation(line))
    else {
      const [name = '', ...words] = line.split(/\s+/)
      const records = watchers.get(name) ?? []
      watchers.set(name, records)
      records.push(parseRecord(words))
    }
  }
  return { operations, watchers: [...watchers].map(([name, records]) => ({ name, records })) }
}

function parseOperation(line: string): Operation {
  const [, call = '', end = '', client = '', kind = '', rest = '', answer = ''] = /^(\d+)-(\d+|\?) (\S+) (\w+)(.*?) -> (.*)$/.exec(line) ?? []
  if (kind === '') throw new Error(`not an operation: ${line}`)
  const [key = '', ...words] = rest.trim().split(/\s+/)
  return { client, server: 's', callMs: Number(call), returnMs: end === '?' ? Infinity : Number(end), cell: 'k', action: parseAction(kind, key, words), outcome: parseOutcome(kind, answer) }
}

function parseAction(kind: string, key: string, words: readonly string[]): Action {
  const after = (word: string): string | undefined => (words.includes(word) ? words[words.indexOf(word) + 1] : undefined)
  const expected = after('if')
  const [token = ''] = words
  switch (kind) {
    case 'get': return { kind, key }
    case 'create': case 'add': return { kind, key, token }
    case 'put': return { kind, key, token, ...(expected !== undefined && { expected }) }
    case 'delete': return { kind, key, ...(expected !== undefined && { expected }) }
    case 'list': return { kind, ...(key === 'from' && { notOlderThan: Number(words[0]) }) }
    default: throw new Error(`no such operation: ${kind}`)
  }
}

function parseOutcome(kind: string, answer: string): Outcome {
  if (answer === 'unknown' || answer === 'conflict' || answer === 'missing' || answer === 'deleted') return { kind: answer }
  const words = answer.split(/\s+/)
  const revision = Number(/^@(\d+)$/.exec(words.at(-1) ?? '')?.[1] ?? Number.NaN)
  if (kind === 'list') return { kind: 'listed', revision, objects: parseObjects(words.slice(0, -1)) }
  if (kind === 'get') return { kind: 'seen', content: answer === 'nothing' ? undefined : words[0] ?? '', ...(!Number.isNaN(revision) && { revision }) }
  return { kind: 'stored', content: words[0] ?? '', revision }
}

function parseRecord(words: readonly string[]): WatchRecord {
  const [kind = '', ...rest] = words
  const revisionOf = (word = ''): number => Number(word.slice(1))
  if (kind === 'list') return { kind: 'listed', server: 's', revision: revisionOf(rest[0]), objects: parseObjects(rest.slice(1)) }
  if (kind === 'connected') return { kind, server: 's' }
  if (kind === 'bookmark') return { kind, revision: revisionOf(rest[0]) }
  if (kind !== 'ADDED' && kind !== 'MODIFIED' && kind !== 'DELETED') throw new Error(`no such record: ${kind}`)
  const [key = '', content = ''] = (rest[0] ?? '').split('=')
  return { kind: 'change', change: { type: kind, key, content, revision: revisionOf(rest[1]) } }
}

function parseObjects(words: readonly string[]): Record<string, { content: Content; revision: number }> {
  return Object.fromEntries(words.map((word) => {
    const [, key = '', content = '', revision = ''] = /^(.*)=(.*)@(\d+)$/.exec(word) ?? []
    return [key, { content, revision: Number(revision) }]
  }))
}
