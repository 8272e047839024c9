/** Plays a case on both servers, step by step, to the first answer that differs. */
import type { Client } from './client.ts'
import { firstDifference } from './differ.ts'
import { isObject, type Answer, type Case, type FromLast, type Json, type Step } from './exchange.ts'
import { isRace, KNOWN } from './known.ts'
import { normalised } from './normalise.ts'
import type { Finding } from './report.ts'

export interface Servers { ours: Client; theirs: Client }

export interface Played { asked: number; finding?: Finding; /** Both refused what the case begins with. */ refused?: string }

export async function play(of: Case, servers: Servers): Promise<Played> {
  const last: Record<keyof Servers, Json> = { ours: {}, theirs: {} }
  let asked = 0
  try {
    for (const step of of.steps) {
      const sent = bodyOf(step, last.theirs)
      const [ours, theirs] = await Promise.all([ask(servers.ours, step, last.ours), ask(servers.theirs, step, last.theirs)])
      asked++
      // What is said of a server itself is its own.
      const [a, b] = step.form.endsWith('code alone') ? [{ status: ours.status }, { status: theirs.status }] : [normalised(ours), normalised(theirs)]
      const difference = firstDifference(a, b)
      if (difference && isRace(of.kind, difference, [ours.status, theirs.status])) return { asked }
      if (difference) {
        const known = KNOWN.find(({ matches }) => matches({ step, sent: sent ?? '', difference, ours: a, theirs: b }))
        return { asked, finding: { case: of, step, difference, ours, theirs, sent, ...(known && { known: known.line }) } }
      }
      if (step.isSetUp && theirs.status >= 300) return { asked, refused: `${of.kind}: ${JSON.stringify(theirs.body).slice(0, 400).replace(/\d+/g, '#')}` }
      // Parts of an object answer with what they are about; of a scale or a refusal nothing is made.
      if (theirs.status < 300) Object.assign(last, { ours: kept(last.ours, ours), theirs: kept(last.theirs, theirs) })
    }
    return { asked }
  } finally {
    const gone = { body: JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0 }) }
    if (of.object !== '') await Promise.all([servers.ours.ask('DELETE', of.object, gone), servers.theirs.ask('DELETE', of.object, gone)])
  }
}

const ask = (client: Client, step: Step, last: Json): Promise<Answer> => client.ask(step.method, step.path, { ...withBody(bodyOf(step, last)), ...(step.type !== undefined && { type: step.type }), ...(step.headers && { headers: step.headers }) })

const withBody = (body: string | undefined): { body?: string } => (body === undefined ? {} : { body })

function bodyOf({ body }: Step, last: Json): string | undefined {
  if (body === undefined) return undefined
  const value = typeof body === 'function' ? (body as FromLast)(last) : body
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function kept(before: Json, { body }: Answer): Json {
  return isObject(body) && body['kind'] !== 'Scale' && body['kind'] !== 'Status' ? body : before
}
