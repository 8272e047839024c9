/**
 * Events of both APIs. They are stored in core/v1's form; `events.k8s.io/v1` is a view of it, made by the two
 * conversions here (upstream `pkg/apis/events/v1/conversion.go`).
 */
import type { CoreV1Event, EventsV1Event } from '#api/types/index.ts'
import { checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { immutable } from './check.ts'
import { semanticEqual } from './semantic-equal.ts'
import { column, since, wide } from './table-columns.ts'

/** Seconds an event lives, upstream's default of --event-ttl. */
export const EVENT_TTL_SECONDS = 3600

export const eventStrategy: KindStrategy<CoreV1Event> = {
  finalizers: 'plain',
  nameRule: 'path-segment',
  generation: false,
  hasNoDependents: true,

  defaults(event) {
    // Both are plain structs upstream and always written.
    event.source ??= {}
    event.reportingComponent ??= ''
    event.reportingInstance ??= ''
  },

  validate: (event) => validateEvent(event, 'reportingComponent'),
  validateUpdate: (event) => validateEvent(event, 'reportingComponent'),

  columns: [
    column('Last Seen', 'The time at which the most recent occurrence of this event was recorded.', (e, nowMs) => times(e, nowMs).last),
    column('Type', 'Type of this event (Normal, Warning), new types could be added in the future', (e) => e.type ?? ''),
    column('Reason', "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.", (e) => e.reason ?? ''),
    column('Object', 'The object that this event is about.', target),
    wide('Subobject', 'If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go field access statement.', (e) => e.involvedObject?.fieldPath ?? ''),
    wide('Source', 'The component reporting this event. Should be a short machine understandable string.', source),
    column('Message', 'A human-readable description of the status of this operation.', (e) => (e.message ?? '').trim()),
    wide('First Seen', 'The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)', (e, nowMs) => times(e, nowMs).first),
    wide('Count', 'The number of times this event has occurred.', (e) => (e.series ? (e.series.count ?? 0) : e.count || 1)),
    { ...wide<CoreV1Event>('Name', 'Name must be unique within a namespace.', (e) => e.metadata.name ?? ''), format: 'name' },
  ],

  selectableFields: {
    'involvedObject.kind': (e) => e.involvedObject?.kind ?? '',
    'involvedObject.namespace': (e) => e.involvedObject?.namespace ?? '',
    'involvedObject.name': (e) => e.involvedObject?.name ?? '',
    'involvedObject.uid': (e) => e.involvedObject?.uid ?? '',
    'involvedObject.apiVersion': (e) => e.involvedObject?.apiVersion ?? '',
    'involvedObject.resourceVersion': (e) => e.involvedObject?.resourceVersion ?? '',
    'involvedObject.fieldPath': (e) => e.involvedObject?.fieldPath ?? '',
    reason: (e) => e.reason ?? '',
    reportingComponent: (e) => e.reportingComponent ?? '',
    source: (e) => e.source?.component || (e.reportingComponent ?? ''),
    type: (e) => e.type ?? '',
  },
}

/** The view's own names of the same fields. */
export const eventsV1SelectableFields: Readonly<Record<string, (e: EventsV1Event) => string>> = {
  'regarding.kind': (e) => e.regarding?.kind ?? '',
  'regarding.namespace': (e) => e.regarding?.namespace ?? '',
  'regarding.name': (e) => e.regarding?.name ?? '',
  'regarding.uid': (e) => e.regarding?.uid ?? '',
  'regarding.apiVersion': (e) => e.regarding?.apiVersion ?? '',
  'regarding.resourceVersion': (e) => e.regarding?.resourceVersion ?? '',
  'regarding.fieldPath': (e) => e.regarding?.fieldPath ?? '',
  reason: (e) => e.reason ?? '',
  reportingController: (e) => e.reportingController ?? '',
  type: (e) => e.type ?? '',
}

/** The view's object as it is stored. */
export function eventToStored(view: EventsV1Event): CoreV1Event {
  const { regarding, note, deprecatedSource, deprecatedFirstTimestamp, deprecatedLastTimestamp, deprecatedCount, reportingController, metadata, ...same } = view
  return {
    ...same,
    apiVersion: 'v1',
    metadata: metadata ?? {},
    involvedObject: regarding ?? {},
    ...(note !== undefined && { message: note }),
    ...(deprecatedSource && { source: deprecatedSource }),
    ...(deprecatedFirstTimestamp !== undefined && { firstTimestamp: deprecatedFirstTimestamp }),
    ...(deprecatedLastTimestamp !== undefined && { lastTimestamp: deprecatedLastTimestamp }),
    ...(deprecatedCount !== undefined && { count: deprecatedCount }),
    ...(reportingController !== undefined && { reportingComponent: reportingController }),
  } as CoreV1Event
}

/** The stored object as `events.k8s.io/v1` shows it. */
export function eventFromStored(stored: CoreV1Event): EventsV1Event {
  const { involvedObject, message, source: component, firstTimestamp, lastTimestamp, count, reportingComponent, ...same } = stored
  return {
    ...same,
    apiVersion: 'events.k8s.io/v1',
    regarding: involvedObject,
    ...(message !== undefined && { note: message }),
    ...(component && { deprecatedSource: component }),
    ...(firstTimestamp !== undefined && { deprecatedFirstTimestamp: firstTimestamp }),
    ...(lastTimestamp !== undefined && { deprecatedLastTimestamp: lastTimestamp }),
    ...(count !== undefined && { deprecatedCount: count }),
    ...(reportingComponent !== undefined && { reportingController: reportingComponent }),
  } as EventsV1Event
}

/** The strategy of the view: everything is done on the stored form. */
export const eventsV1Strategy: KindStrategy<EventsV1Event> = {
  generation: false,
  hasNoDependents: true,
  validate: (view) => {
    const event = eventToStored(view)
    const unset = (field: string, isSet: boolean): FieldError[] => (isSet ? [invalid(field, '', 'needs to be unset')] : [])
    return [
      ...validateEvent(event, 'reportingController'),
      ...validateSeries(event),
      ...(event.eventTime ? [] : [required('eventTime')]),
      ...(event.type === 'Normal' || event.type === 'Warning' ? [] : [invalid('type', '', `has invalid value: ${event.type ?? ''}`)]),
      ...unset('firstTimestamp', !!event.firstTimestamp), ...unset('lastTimestamp', !!event.lastTimestamp), ...unset('count', !!event.count), ...unset('source', !!event.source?.component || !!event.source?.host),
    ]
  },
  validateUpdate: (view, oldView) => {
    const [event, old] = [eventToStored(view), eventToStored(oldView)]
    return [
      ...validateEvent(event, 'reportingController'),
      ...(semanticEqual(event.series, old.series) ? [] : validateSeries(event)),
      ...FIXED.flatMap((key) => immutable(key === 'reportingComponent' ? 'reportingController' : key, TEXTS.has(key) ? (event[key] ?? '') : event[key], TEXTS.has(key) ? (old[key] ?? '') : old[key])),
    ]
  },
  columns: (eventStrategy.columns ?? []).map((c) => ({ ...c, value: (event: EventsV1Event, nowMs: number) => c.value(eventToStored(event), nowMs) })),
  selectableFields: eventsV1SelectableFields,
}

/** All but the series, which goes on. */
const FIXED = ['involvedObject', 'reason', 'message', 'source', 'firstTimestamp', 'lastTimestamp', 'count', 'type', 'eventTime', 'action', 'related', 'reportingComponent', 'reportingInstance'] as const

/** Shown as what Go has for them where there is none. */
const TEXTS: ReadonlySet<string> = new Set(['reason', 'message', 'type', 'action', 'reportingComponent', 'reportingInstance'])

function validateSeries({ series }: CoreV1Event): FieldError[] {
  if (!series) return []
  return [...((series.count ?? 0) < 2 ? [invalid('series.count', '', 'should be at least 2')] : []), ...(series.lastObservedTime ? [] : [required('series.lastObservedTime')])]
}

/** What holds for events of either version (upstream `legacyValidateEvent`): those with an `eventTime` are of the new kind. `controller`: what the version calls the reporter. */
function validateEvent(event: CoreV1Event, controller: 'reportingComponent' | 'reportingController'): FieldError[] {
  const namespace = event.metadata.namespace ?? ''
  const involved = event.involvedObject?.namespace ?? ''
  const elsewhere = invalid('involvedObject.namespace', involved, 'does not match event.namespace')
  const out: FieldError[] = []
  if (event.eventTime) {
    if (involved === '' && namespace !== 'default' && namespace !== 'kube-system') out.push(elsewhere)
    const reporter = event.reportingComponent ?? ''
    if (reporter === '') out.push(required(controller))
    out.push(...checkQualifiedName(reporter).map((m) => invalid(controller, reporter, m)))
    if (!event.reportingInstance) out.push(required('reportingInstance'))
    if (!event.action) out.push(required('action'))
    if (!event.reason) out.push(required('reason'))
    for (const [key, max] of LENGTHS) if (Buffer.byteLength(event[key] ?? '') > max) out.push(invalid(key, '', `can have at most ${max} characters`))
  } else if (involved === '' ? namespace !== '' && namespace !== 'default' : namespace !== involved) {
    out.push(elsewhere)
  }
  return [...out, ...checkDnsSubdomain(namespace).map((m) => invalid('namespace', namespace, m))]
}

const LENGTHS = [['reportingInstance', 128], ['action', 128], ['reason', 128], ['message', 1024]] as const

function times(event: CoreV1Event, nowMs: number): { first: string; last: string } {
  const first = since(event.firstTimestamp ?? event.eventTime, nowMs)
  if (event.series) return { first, last: since(event.series.lastObservedTime, nowMs) }
  return { first, last: event.lastTimestamp === undefined ? first : since(event.lastTimestamp, nowMs) }
}

function target(event: CoreV1Event): string {
  const kind = (event.involvedObject?.kind ?? '').toLowerCase()
  return event.involvedObject?.name ? `${kind}/${event.involvedObject.name}` : kind
}

function source(event: CoreV1Event): string {
  const component = event.source?.component || (event.reportingComponent ?? '')
  const host = event.source?.host || (event.reportingInstance ?? '')
  return host === '' ? component : `${component}, ${host}`
}
