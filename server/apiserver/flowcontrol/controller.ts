/**
 * Follows flow schemas and priority levels: gives them to FlowControl, tells on each schema's status whether its level is
 * there, and puts defaults back that were deleted or bent.
 */
import { isReason, type Client, type Informer, type Informers } from '#api/client/client.ts'
import { FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS, type FlowSchema, type FlowSchemaCondition, type PriorityLevelConfiguration } from '#api/types/index.ts'
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { timestamp } from '../storage/object-meta.ts'
import { SUGGESTED_FLOW_SCHEMAS, SUGGESTED_PRIORITY_LEVELS, MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS } from './default-objects.ts'
import type { FlowControl } from './flow-control.ts'
import { decideDefaults, keepFlowControlDefaults } from './keep-defaults.ts'
import { RecentWrites } from './recent-writes.ts'

export interface FlowControlControllerOptions { client: Client; informers: Informers; flowControl: FlowControl; clock: Clock; random: Random; log: Log }

const FIELD_MANAGER = 'api-priority-and-fairness-config-consumer-v1'
/** Changes that come together are taken together. */
const SETTLE_MS = 100
/** A default that was deleted is back after this; upstream looks once a minute. */
const DEFAULTS_MS = 10_000
/** A status that somebody else keeps changing is left alone for so long, as upstream. */
const DISPUTED_MS = { least: 30_000, most: 75_000 }
const RETRY: BackoffPolicy = { baseMs: 200, maxMs: 60_000, jitter: 0.3 }

/** Asks for the informers at once, before they are started. */
export function createFlowControlController(options: FlowControlControllerOptions): { run(signal: AbortSignal): Promise<void> } {
  const schemas = options.informers.of<FlowSchema>(FLOW_SCHEMAS)
  const levels = options.informers.of<PriorityLevelConfiguration>(PRIORITY_LEVEL_CONFIGURATIONS)
  return { run: (signal) => run(options, schemas, levels, signal) }
}

/** Until the signal aborts. Resolves at once when the defaults are in place and in use; the rest follows changes. */
async function run(options: FlowControlControllerOptions, schemas: Informer<FlowSchema>, levels: Informer<PriorityLevelConfiguration>, signal: AbortSignal): Promise<void> {
  const { client, flowControl, clock, random, log } = options
  const timers: { settle?: () => void; again?: () => void; defaults?: () => void } = {}
  const recent = new RecentWrites()
  let failures = 0
  const later = (name: keyof typeof timers, ms: number, fn: () => void): void => {
    timers[name] ??= clock.after(ms, () => {
      delete timers[name]
      if (!signal.aborted) fn()
    })
  }
  const settle = (): void => {
    const all = schemas.list()
    const { dangling } = flowControl.configure(all, levels.list())
    recent.keepOnly(new Set(all.map(({ metadata }) => metadata.name)))
    const wrong = all.flatMap((schema) => {
      const condition = nextCondition(schema, dangling.has(schema.metadata.name), clock.nowMs())
      return condition ? [{ name: schema.metadata.name, condition }] : []
    })
    const due = wrong.filter(({ name }) => recent.mayWrite(name, clock.nowMs()))
    if (due.length < wrong.length) later('again', DISPUTED_MS.least + random.next() * (DISPUTED_MS.most - DISPUTED_MS.least), settle)
    if (due.length > 0) void tell(due)
  }
  const tell = async (due: readonly Told[]): Promise<void> => {
    for (const { name } of due) recent.note(name, clock.nowMs())
    const errors = (await Promise.allSettled(due.map((one) => writeCondition(client, one, signal)))).filter((result) => result.status === 'rejected')
    failures = errors.length > 0 ? failures + 1 : 0
    if (errors[0] === undefined || signal.aborted) return
    log.warn('the status of a flow schema could not be written; it is tried again', { error: asError(errors[0].reason) })
    later('again', backoffMs(RETRY, failures, random), settle)
  }
  const restore = (): void => {
    const wanted = [decideDefaults(levels.list(), MANDATORY_PRIORITY_LEVELS, SUGGESTED_PRIORITY_LEVELS), decideDefaults(schemas.list(), MANDATORY_FLOW_SCHEMAS, SUGGESTED_FLOW_SCHEMAS)]
    if (wanted.flat().length > 0) keepFlowControlDefaults(client, signal).catch((error: unknown) => {
      if (!signal.aborted) log.warn('the default flow schemas and priority levels could not be put back; it is tried again with the next change', { error: asError(error) })
    })
  }
  await keepFlowControlDefaults(client, signal)
  const onChange = (): void => {
    later('settle', SETTLE_MS, settle)
    later('defaults', DEFAULTS_MS, restore)
  }
  const stops = [schemas.onChange(onChange), levels.onChange(onChange)]
  signal.addEventListener('abort', () => {
    for (const stop of [...stops, timers.settle, timers.again, timers.defaults]) stop?.()
  }, { once: true })
}

interface Told { name: string; condition: FlowSchemaCondition }

/** The schema's Dangling condition, or undefined when it is there already. */
function nextCondition(schema: FlowSchema, isDangling: boolean, nowMs: number): FlowSchemaCondition | undefined {
  const level = schema.spec?.priorityLevelConfiguration.name ?? ''
  const wanted: FlowSchemaCondition = isDangling
    ? { type: 'Dangling', status: 'True', reason: 'NotFound', message: `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} but there is no such object` }
    : { type: 'Dangling', status: 'False', reason: 'Found', message: `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} and it exists` }
  const current = schema.status?.conditions?.find((c) => c.type === 'Dangling')
  const same = current?.status === wanted.status ? current : undefined
  if (same && same.reason === wanted.reason && same.message === wanted.message) return undefined
  return { ...wanted, lastTransitionTime: same?.lastTransitionTime ?? timestamp(nowMs) }
}

async function writeCondition(client: Client, { name, condition }: Told, signal: AbortSignal): Promise<void> {
  try {
    await client.patch(FLOW_SCHEMAS, name, undefined, 'application/strategic-merge-patch+json', { status: { conditions: [condition] } }, { subresource: 'status', fieldManager: FIELD_MANAGER, signal })
  } catch (error) {
    // Deleted meanwhile: nothing is left to tell.
    if (!isReason(error, 'NotFound')) throw error
  }
}
