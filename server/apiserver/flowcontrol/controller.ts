/**
 * Follows flow schemas and priority levels: gives them to FlowControl, tells on each schema's status whether its level is
 * there, and puts defaults back that were deleted or bent.
 */
import { isReason, type Client, type Informer, type Informers } from '#api/client/client.ts'
import { FLOW_SCHEMAS, PRIORITY_LEVEL_CONFIGURATIONS, type FlowSchema, type FlowSchemaCondition, type PriorityLevelConfiguration } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { timestamp } from '../storage/object-meta.ts'
import { SUGGESTED_FLOW_SCHEMAS, SUGGESTED_PRIORITY_LEVELS, MANDATORY_FLOW_SCHEMAS, MANDATORY_PRIORITY_LEVELS } from './default-objects.ts'
import type { FlowControl } from './flow-control.ts'
import { decideDefaults, keepFlowControlDefaults } from './keep-defaults.ts'

export interface FlowControlControllerOptions { client: Client; informers: Informers; flowControl: FlowControl; clock: Clock; log: Log }

const FIELD_MANAGER = 'api-priority-and-fairness-config-consumer-v1'
/** Changes that come together are taken together. */
const SETTLE_MS = 100
/** A default that was deleted is back after this; upstream looks once a minute. */
const DEFAULTS_MS = 10_000

/** Asks for the informers at once, before they are started. */
export function createFlowControlController(options: FlowControlControllerOptions): { run(signal: AbortSignal): Promise<void> } {
  const schemas = options.informers.of<FlowSchema>(FLOW_SCHEMAS)
  const levels = options.informers.of<PriorityLevelConfiguration>(PRIORITY_LEVEL_CONFIGURATIONS)
  return { run: (signal) => run(options, schemas, levels, signal) }
}

/** Until the signal aborts. Resolves at once when the defaults are in place and in use; the rest follows changes. */
async function run(options: FlowControlControllerOptions, schemas: Informer<FlowSchema>, levels: Informer<PriorityLevelConfiguration>, signal: AbortSignal): Promise<void> {
  const { client, flowControl, clock, log } = options
  const timers: { settle?: () => void; defaults?: () => void } = {}
  const failed = (what: string) => (error: unknown): void => {
    if (!signal.aborted) log.warn(`${what}; it is tried again with the next change`, { error: asError(error) })
  }
  const settle = (): void => {
    const { dangling } = flowControl.configure(schemas.list(), levels.list())
    for (const schema of schemas.list()) tellDangling(client, schema, dangling.has(schema.metadata.name), clock.nowMs(), signal).catch(failed('the status of a flow schema could not be written'))
  }
  const restore = (): void => {
    const wanted = [decideDefaults(levels.list(), MANDATORY_PRIORITY_LEVELS, SUGGESTED_PRIORITY_LEVELS), decideDefaults(schemas.list(), MANDATORY_FLOW_SCHEMAS, SUGGESTED_FLOW_SCHEMAS)]
    if (wanted.flat().length > 0) keepFlowControlDefaults(client, signal).catch(failed('the default flow schemas and priority levels could not be put back'))
  }
  const later = (name: 'settle' | 'defaults', ms: number, fn: () => void): void => {
    timers[name] ??= clock.after(ms, () => {
      delete timers[name]
      if (!signal.aborted) fn()
    })
  }
  await keepFlowControlDefaults(client, signal)
  const onChange = (): void => {
    later('settle', SETTLE_MS, settle)
    later('defaults', DEFAULTS_MS, restore)
  }
  const stops = [schemas.onChange(onChange), levels.onChange(onChange)]
  signal.addEventListener('abort', () => {
    for (const stop of [...stops, timers.settle, timers.defaults]) stop?.()
  }, { once: true })
}

/** Writes the schema's Dangling condition unless it is there already. */
async function tellDangling(client: Client, schema: FlowSchema & { metadata: { name: string } }, isDangling: boolean, nowMs: number, signal: AbortSignal): Promise<void> {
  const level = schema.spec?.priorityLevelConfiguration.name ?? ''
  const wanted: FlowSchemaCondition = isDangling
    ? { type: 'Dangling', status: 'True', reason: 'NotFound', message: `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} but there is no such object` }
    : { type: 'Dangling', status: 'False', reason: 'Found', message: `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} and it exists` }
  const current = schema.status?.conditions?.find((c) => c.type === 'Dangling')
  if (current && current.status === wanted.status && current.reason === wanted.reason && current.message === wanted.message) return
  const condition = { ...wanted, lastTransitionTime: current?.status === wanted.status ? current?.lastTransitionTime : timestamp(nowMs) }
  try {
    await client.patch(FLOW_SCHEMAS, schema.metadata.name, undefined, 'application/strategic-merge-patch+json', { status: { conditions: [condition] } }, { subresource: 'status', fieldManager: FIELD_MANAGER, signal })
  } catch (error) {
    // Deleted meanwhile: nothing is left to tell.
    if (!isReason(error, 'NotFound')) throw error
  }
}
