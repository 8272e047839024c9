/** Plays a case on both servers, step by step, to the first answer that differs; what only reads differs for itself. */
import type { Client } from './client.ts'
import { firstDifference, type Difference } from './differ.ts'
import { allDifferences, comparableDocument } from './documents.ts'
import { isObject, type Answer, type Case, type FromLast, type Json, type Step } from './exchange.ts'
import { cannotTell, isRace, KNOWN } from './known.ts'
import { normalised } from './normalise.ts'
import type { Finding } from './report.ts'

export interface Servers { ours: Client; theirs: Client }

export interface Played { asked: number; findings: readonly Finding[]; /** Both refused what the case begins with. */ refused?: string }

export async function play(of: Case, servers: Servers): Promise<Played> {
  const last: Record<keyof Servers, Json> = { ours: {}, theirs: {} }
  const findings: Finding[] = []
  let asked = 0
  try {
    for (const step of of.steps) {
      const sent = bodyOf(step, last.theirs)
      let { ours, theirs, a, b, differences } = await askBoth(servers, step, last)
      asked++
      // A cache that was behind has caught up by then.
      if (differences.length > 0 && step.method === 'GET' && !step.isSetUp) {
        await new Promise((resolve) => setTimeout(resolve, CAUGHT_UP_MS))
        ;({ ours, theirs, a, b, differences } = await askBoth(servers, step, last))
        asked++
      }
      if (differences.some((difference) => isRace(of.kind, difference, [ours.status, theirs.status]))) break
      if (differences.length > 0 && step.method === 'GET' && cannotTell(theirs)) continue
      const path = pathOf(step, last.theirs)
      for (const difference of differences) {
        const known = KNOWN.find(({ matches }) => matches({ of, step: { ...step, path }, sent: sent ?? '', difference, ours: a, theirs: b }))
        findings.push({ case: of, step: { ...step, path }, difference, ours, theirs, sent, ...(known && { known: known.line }) })
      }
      // After a change that went otherwise there is another world.
      if (differences.length > 0 && (step.method !== 'GET' || step.isSetUp)) break
      if (step.isSetUp && theirs.status >= 300) return { asked, findings, refused: `${of.kind}: ${JSON.stringify(theirs.body).slice(0, 400).replace(/\d+/g, '#')}` }
      // Parts of an object answer with what they are about; of a scale or a refusal nothing is made.
      if (theirs.status < 300 && !step.isAside) Object.assign(last, { ours: kept(last.ours, ours), theirs: kept(last.theirs, theirs) })
    }
    return { asked, findings }
  } finally {
    for (const path of [of.object, ...of.others ?? []]) if (path !== '') await Promise.all(Object.values(servers).map((client) => removed(client as Client, path)))
  }
}

const CAUGHT_UP_MS = 500

async function askBoth(servers: Servers, step: Step, last: Record<keyof Servers, Json>): Promise<{ ours: Answer; theirs: Answer; a: Json; b: Json; differences: readonly Difference[] }> {
  const [ours, theirs] = await Promise.all([ask(servers.ours, step, last.ours), ask(servers.theirs, step, last.theirs)])
  if (step.isDocument) {
    const [a, b] = [ours, theirs].map(({ status, body }): Json => ({ status, body: comparableDocument(body) })) as [Json, Json]
    return { ours, theirs, a, b, differences: a['status'] === b['status'] ? allDifferences(a, b) : [{ path: 'status', ours: a['status'], theirs: b['status'] }] }
  }
  // What is said of a server itself is its own.
  const [a, b] = [ours, theirs].map((answer): Json => ({
    ...(/\balone$/.test(step.form) ? { status: answer.status } : normalised(answer)), ...(step.withHeaders && { headers: answer.headers }),
  })) as [Json, Json]
  const difference = firstDifference(a, b)
  return { ours, theirs, a, b, differences: difference ? [difference] : [] }
}

const GONE = { body: JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 }) }
const WITHOUT_FINALIZERS = { body: JSON.stringify({ metadata: { finalizers: null } }), type: 'application/merge-patch+json' }

/** Also what waits for somebody who is not there. */
async function removed(client: Client, path: string): Promise<void> {
  const { status, body } = await client.ask('DELETE', path, GONE)
  if (status < 300 && isObject(body) && isObject(body['metadata']) && body['metadata']['deletionTimestamp'] !== undefined) await client.ask('PATCH', path, WITHOUT_FINALIZERS)
}

const ask = (client: Client, step: Step, last: Json): Promise<Answer> => client.ask(step.method, pathOf(step, last), { ...withBody(bodyOf(step, last)), ...(step.type !== undefined && { type: step.type }), ...(step.headers && { headers: step.headers }) })

const pathOf = ({ path }: Step, last: Json): string => (typeof path === 'function' ? path(last) : path)

const withBody = (body: string | undefined): { body?: string } => (body === undefined ? {} : { body })

function bodyOf({ body }: Step, last: Json): string | undefined {
  if (body === undefined) return undefined
  const value = typeof body === 'function' ? (body as FromLast)(last) : body
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function kept(before: Json, { body }: Answer): Json {
  return isObject(body) && body['kind'] !== 'Scale' && body['kind'] !== 'Status' ? body : before
}
