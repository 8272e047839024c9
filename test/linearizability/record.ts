/**
 * Several clients at several servers, and what they saw: run in a process of its own, where it reaches all servers.
 * `node record.ts '{"servers": ["https://…"], "kubeconfig": …, "out": FILE, "clients": 6, "watchers": 3, "seed": 1}'`
 * until its stdin closes. Prints `recording` when it has begun; at the end every watcher is waited for, the history is in
 * FILE, as JSON, and the last line of the output tells what it took.
 */
import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom, type Random } from '#base/random.ts'
import { contentOf, readCredentials, RecordedClient, type Answer, type ConfigMap } from './client.ts'
import type { Action, Content, History, Operation, Outcome, WatchRecord } from './history.ts'

export interface RecordOptions { servers: string[]; kubeconfig: string; out: string; clients: number; watchers: number; seed: number }
export interface RecordSummary { operations: number; unknown: number; unreached: number; moves: number; relists: number; connections: number; watchersBehind: string[]; why: Record<string, number> }

const NAMESPACE = 'linearizability'
const PATH = `/api/v1/namespaces/${NAMESPACE}/configmaps`
/** Keys that are judged together, and how many operations on them before the next ones are taken: what the checker can do quickly. */
const CELL_KEYS = 3
const CELL_OPERATIONS = 140
const ANSWER_MS_MAX = 4_000
const THINK_MS_MAX = 30
const WATCHERS_END_MS_MAX = 45_000

const options = JSON.parse(process.argv[2] ?? '{}') as RecordOptions
const credentials = readCredentials(options.kubeconfig)
const nowMs = (): number => performance.now()
let isOver = false
process.stdin.on('end', () => { isOver = true }).resume()

const operations: Operation[] = []
const summary: RecordSummary = { operations: 0, unknown: 0, unreached: 0, moves: 0, relists: 0, connections: 0, watchersBehind: [], why: {} }
let begun = 0
let tokens = 0
const cellNow = (): string => `cell${Math.floor(begun / CELL_OPERATIONS)}-`

await prepare()
const watchers = Array.from({ length: options.watchers }, (_, i) => ({ name: `w${i + 1}`, records: [] as WatchRecord[], revision: 0 }))
const stopWatching = new AbortController()
const watching = watchers.map((watcher, i) => watch(watcher, seededRandom(options.seed * 1_000 + 500 + i)))
// From the empty beginning, or nobody could say of an unknown write that it never happened.
for (const deadlineMs = nowMs() + WATCHERS_END_MS_MAX; watchers.some((w) => w.records.length === 0); await sleep(10)) if (nowMs() > deadlineMs) throw new Error('the watchers get no first list')
console.log('recording')
await Promise.all(Array.from({ length: options.clients }, (_, i) => work(`c${i + 1}`, seededRandom(options.seed * 1_000 + i))))
const end = await finish()
for (const deadlineMs = nowMs() + WATCHERS_END_MS_MAX; nowMs() < deadlineMs && watchers.some((w) => w.revision < end); ) await sleep(20)
summary.watchersBehind = watchers.filter((w) => w.revision < end).map((w) => `${w.name} is at ${w.revision} of ${end}`)
stopWatching.abort()
await Promise.all(watching)
summary.operations = operations.length
writeFileSync(options.out, JSON.stringify({ operations, watchers: watchers.map(({ name, records }) => ({ name, records })) } satisfies History, (_, value: unknown) => (value === Infinity ? 'never' : value)))
console.log(JSON.stringify(summary))
process.exit(0)

async function prepare(): Promise<void> {
  const client = new RecordedClient(credentials, ANSWER_MS_MAX)
  for (const deadlineMs = nowMs() + 30_000; ; await sleep(100)) {
    const answer = await client.ask(options.servers[0] ?? '', 'POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } })
    if (answer.kind === 'answer' && (answer.status === 201 || answer.status === 409)) break
    if (nowMs() > deadlineMs) throw new Error(`the namespace cannot be made: ${JSON.stringify(answer)}`)
  }
  // On every server, before anything is judged.
  for (const server of options.servers) for (const deadlineMs = nowMs() + 30_000; ; await sleep(100)) {
    const answer = await client.ask(server, 'GET', `${PATH}?labelSelector=cell`)
    if (answer.kind === 'answer' && answer.status === 200) break
    if (nowMs() > deadlineMs) throw new Error(`${server} cannot list: ${JSON.stringify(answer)}`)
  }
  client.close()
}

async function work(name: string, random: Random): Promise<void> {
  const client = new RecordedClient(credentials, ANSWER_MS_MAX)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random.next() * of.length)] as T
  let server = pick(options.servers)
  const move = (): void => {
    const other = pick(options.servers)
    if (other !== server) summary.moves++
    server = other
  }
  /** What this client saw last: for what it expects, and how old a list may be. */
  const seen = new Map<string, { content: Content; revision: number }>()
  let newest = 0
  while (!isOver) {
    if (random.next() < 0.08) move()
    const cell = cellNow()
    begun++
    const key = `${cell}k${Math.floor(random.next() * CELL_KEYS)}`
    const action = choose(random, key, seen.get(key)?.content, newest)
    const isWhole = action.kind === 'list' && random.next() < 0.2
    const callMs = nowMs()
    const answer = await ask(client, server, action, { cell, isWhole, revision: seen.get(key)?.revision })
    const returnMs = nowMs()
    if (answer.kind !== 'answer') {
      const why = answer.why.replaceAll(/\d+/g, 'N').slice(0, 120)
      summary.why[why] = (summary.why[why] ?? 0) + 1
    }
    if (answer.kind === 'unreached') summary.unreached++
    else {
      const outcome = outcomeOf(action, answer)
      if (outcome.kind === 'unknown') summary.unknown++
      operations.push({ client: name, server, callMs, returnMs: outcome.kind === 'unknown' ? Infinity : returnMs, cell: isWhole ? '' : cell, action, outcome })
      if (outcome.kind === 'listed') {
        newest = Math.max(newest, outcome.revision)
        for (const [listed, object] of Object.entries(outcome.objects)) seen.set(listed, object)
      } else if ((outcome.kind === 'seen' || outcome.kind === 'stored') && outcome.content !== undefined && outcome.revision !== undefined) {
        newest = Math.max(newest, outcome.revision)
        seen.set(key, { content: outcome.content, revision: outcome.revision })
      }
    }
    if (answer.kind !== 'answer') {
      move()
      await sleep(100 + random.next() * 200)
    }
    await sleep(random.next() * THINK_MS_MAX)
  }
  client.close()
}

function choose(random: Random, key: string, content: Content | undefined, newest: number): Action {
  const dice = random.next()
  const expected = content !== undefined && random.next() < 0.6 ? { expected: content } : {}
  if (dice < 0.25) return { kind: 'get', key }
  if (dice < 0.35) return { kind: 'list', ...(newest > 0 && random.next() < 0.3 && { notOlderThan: newest }) }
  const token = `t${++tokens}`
  if (dice < 0.5) return { kind: 'create', key, token }
  if (dice < 0.75) return { kind: 'put', key, token, ...expected }
  if (dice < 0.9) return { kind: 'add', key, token }
  return { kind: 'delete', key, ...expected }
}

function ask(client: RecordedClient, server: string, action: Action, how: { cell: string; isWhole: boolean; revision: number | undefined }): Promise<Answer> {
  const label = how.cell.slice(0, -1)
  if (action.kind === 'list') {
    const age = action.notOlderThan === undefined ? '' : `&resourceVersion=${action.notOlderThan}&resourceVersionMatch=NotOlderThan`
    return client.ask(server, 'GET', `${PATH}?labelSelector=cell${how.isWhole ? '' : `%3D${label}`}${age}`)
  }
  const { key } = action
  const expected = 'expected' in action ? { resourceVersion: String(how.revision) } : {}
  const object = (token: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: key, labels: { cell: label }, ...expected }, data: { [token]: '' } })
  switch (action.kind) {
    case 'get': return client.ask(server, 'GET', `${PATH}/${key}`)
    case 'create': return client.ask(server, 'POST', PATH, object(action.token))
    case 'put': return client.ask(server, 'PUT', `${PATH}/${key}`, object(action.token))
    case 'add': return client.ask(server, 'PATCH', `${PATH}/${key}`, { data: { [action.token]: '' } }, 'application/merge-patch+json')
    case 'delete': return client.ask(server, 'DELETE', `${PATH}/${key}`, { apiVersion: 'v1', kind: 'DeleteOptions', ...('expected' in action && { preconditions: expected }) })
  }
}

function outcomeOf(action: Action, answer: Answer): Outcome {
  if (answer.kind !== 'answer') return { kind: 'unknown' }
  const { status, body } = answer
  if (status === 409) return { kind: 'conflict' }
  if (status === 404) return action.kind === 'get' ? { kind: 'seen', content: undefined } : { kind: 'missing' }
  if (status >= 300) throw new Error(`${action.kind}: ${status} ${JSON.stringify(body)}`)
  if (action.kind === 'list') return listed(body)
  if (action.kind === 'delete') return { kind: 'deleted' }
  const object = body as ConfigMap
  return { kind: action.kind === 'get' ? 'seen' : 'stored', content: contentOf(object), revision: Number(object.metadata.resourceVersion) }
}

function listed(body: unknown): Extract<Outcome, { kind: 'listed' }> {
  const { metadata, items } = body as { metadata: { resourceVersion: string }; items: ConfigMap[] }
  return { kind: 'listed', revision: Number(metadata.resourceVersion), objects: Object.fromEntries(items.map((o) => [o.metadata.name, { content: contentOf(o), revision: Number(o.metadata.resourceVersion) }])) }
}

/** As an informer does it: list, watch from there, go on from what was seen last on whichever server, list again when that is too old. */
async function watch(watcher: { name: string; records: WatchRecord[]; revision: number }, random: Random): Promise<void> {
  const client = new RecordedClient(credentials, ANSWER_MS_MAX)
  let mustList = true
  const next = (): string => options.servers[Math.floor(random.next() * options.servers.length)] ?? ''
  while (!stopWatching.signal.aborted) {
    const server = next()
    if (mustList) {
      // Never older than what was seen: this is what keeps an informer from going back in time.
      const answer = await client.ask(server, 'GET', `${PATH}?labelSelector=cell&resourceVersion=${watcher.revision === 0 ? '' : `${watcher.revision}&resourceVersionMatch=NotOlderThan`}`)
      if (answer.kind !== 'answer' || answer.status !== 200) {
        await sleep(200)
        continue
      }
      const { objects, revision } = listed(answer.body)
      watcher.records.push({ kind: 'listed', server, objects, revision })
      watcher.revision = revision
      if (watcher.records.length > 1) summary.relists++
      mustList = false
    }
    mustList = await follow(client, server, watcher, 500 + random.next() * 8_000)
    if (!stopWatching.signal.aborted) await sleep(20 + random.next() * 100)
  }
  client.close()
}

/** Until the stream ends or its time is over; true when the server no longer knows what came after. */
async function follow(client: RecordedClient, server: string, watcher: { records: WatchRecord[]; revision: number }, msMax: number): Promise<boolean> {
  let mustList = false
  try {
    const stream = await client.open(server, `${PATH}?watch=1&labelSelector=cell&allowWatchBookmarks=true&resourceVersion=${watcher.revision}`)
    if (stream.statusCode !== 200) {
      stream.destroy()
      return stream.statusCode === 410
    }
    summary.connections++
    watcher.records.push({ kind: 'connected', server })
    const stop = (): void => { stream.destroy() }
    const timer = setTimeout(stop, msMax)
    stopWatching.signal.addEventListener('abort', stop)
    try {
      for await (const line of linesOf(stream)) {
        const { type, object } = JSON.parse(line) as { type: string; object: ConfigMap & { code?: number } }
        if (type === 'ERROR') {
          mustList = object.code === 410
          break
        }
        const revision = Number(object.metadata.resourceVersion)
        if (type === 'BOOKMARK') watcher.records.push({ kind: 'bookmark', revision })
        else watcher.records.push({ kind: 'change', change: { type: type as 'ADDED', key: object.metadata.name, content: contentOf(object), revision } })
        watcher.revision = Math.max(watcher.revision, revision)
      }
    } finally {
      clearTimeout(timer)
      stopWatching.signal.removeEventListener('abort', stop)
      stream.destroy()
    }
  } catch {
    // Refused, cut off in the middle of a line, told to stop: the next connection goes on from what was seen last.
  }
  return mustList
}

/** Not readline's: that one never ends when its stream is destroyed. */
async function* linesOf(stream: IncomingMessage): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

/** One last write and one last look at everything, however long the servers need: returns the write's revision. */
async function finish(): Promise<number> {
  const client = new RecordedClient(credentials, ANSWER_MS_MAX)
  const attempt = async (cell: string, action: Action): Promise<Outcome | undefined> => {
    for (const server of options.servers) {
      const callMs = nowMs()
      const answer = await ask(client, server, action, { cell: cell === '' ? 'all-' : cell, isWhole: cell === '', revision: undefined })
      if (answer.kind === 'unreached') continue
      const outcome = outcomeOf(action, answer)
      operations.push({ client: 'last', server, callMs, returnMs: outcome.kind === 'unknown' ? Infinity : nowMs(), cell, action, outcome })
      if (outcome.kind !== 'unknown') return outcome
    }
    return undefined
  }
  for (let tries = 0, deadlineMs = nowMs() + 60_000; nowMs() < deadlineMs; tries++, await sleep(300)) {
    const written = await attempt('end-', { kind: 'create', key: `end-k${tries}`, token: `end${tries}` })
    if (written?.kind !== 'stored') continue
    if ((await attempt('', { kind: 'list' }))?.kind !== 'listed') continue
    client.close()
    return written.revision
  }
  throw new Error(`no server takes a write within 60 s of the end: ${JSON.stringify(summary.why)}`)
}
