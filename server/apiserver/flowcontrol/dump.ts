/** `/debug/api_priority_and_fairness/dump_*`: who runs and who waits, as upstream prints it. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { PathHandler } from '../discovery/paths.ts'
import { textResponse } from '../http/response.ts'
import type { FlowControl, Pending } from './flow-control.ts'
import type { QueuedRequest } from './queue-set.ts'

const LEVEL_COLUMNS = ['PriorityLevelName', 'ActiveQueues', 'IsIdle', 'IsQuiescing', 'WaitingRequests', 'ExecutingRequests', 'DispatchedRequests', 'RejectedRequests', 'TimedoutRequests', 'CancelledRequests']
const QUEUE_COLUMNS = ['PriorityLevelName', 'Index', 'PendingRequests', 'ExecutingRequests', 'SeatsInUse', 'NextDispatchR', 'InitialSeatsSum', 'MaxSeatsSum', 'TotalWorkSum']
const REQUEST_COLUMNS = ['PriorityLevelName', 'FlowSchemaName', 'QueueIndex', 'RequestIndexInQueue', 'FlowDistingsher', 'ArriveTime', 'InitialSeats', 'FinalSeats', 'AdditionalLatency', 'StartTime']
const DETAIL_COLUMNS = ['UserName', 'Verb', 'APIPath', 'Namespace', 'Name', 'APIVersion', 'Resource', 'SubResource']

/** By path, for the API server's extra handlers. */
export function dumpHandlers(flowControl: FlowControl): Record<string, { handle: PathHandler }> {
  const root = '/debug/api_priority_and_fairness'
  return {
    [`${root}/dump_priority_levels`]: { handle: () => table(LEVEL_COLUMNS, levelRows(flowControl)) },
    [`${root}/dump_queues`]: { handle: () => table(QUEUE_COLUMNS, queueRows(flowControl)) },
    [`${root}/dump_requests`]: {
      handle: ({ query }) => {
        const detailed = query.text('includeRequestDetails') !== ''
        return table(detailed ? [...REQUEST_COLUMNS, ...DETAIL_COLUMNS] : REQUEST_COLUMNS, requestRows(flowControl, detailed))
      },
    },
  }
}

type Cells = (string | number | boolean)[]

function levelRows(flowControl: FlowControl): Cells[] {
  return flowControl.levels.map(({ name, quiescing, queueSet, outcomes, executing }) => {
    const active = queueSet?.queues.filter((q) => q.waiting.length > 0).length ?? 0
    return [name, active, queueSet?.isIdle ?? executing === 0, quiescing, queueSet?.waiting ?? 0, executing, outcomes.dispatched, outcomes.rejected, outcomes.timedOut, outcomes.cancelled]
  })
}

function queueRows(flowControl: FlowControl): Cells[] {
  return flowControl.levels.flatMap(({ name, queueSet }) => {
    if (!queueSet) return []
    const used = new Map(queueSet.queues.map((q) => [q.index, q]))
    return Array.from({ length: queueSet.queueCount }, (_, index) => {
      const queue = used.get(index)
      const seats = queue?.waiting.reduce((sum, r) => sum + r.seats, 0) ?? 0
      return [name, index, queue?.waiting.length ?? 0, queue?.executing ?? 0, queue?.seatsInUse ?? 0, `${(queue?.nextDispatchR ?? 0).toFixed(8)}ss`, seats, seats, `${(seats * 0.003).toFixed(8)}ss`]
    })
  })
}

function requestRows(flowControl: FlowControl, detailed: boolean): Cells[] {
  return flowControl.levels.flatMap(({ name, queueSet }) => (queueSet?.queues ?? []).flatMap((queue) => queue.waiting.map((request, index) => [
    name, request.of.schema, queue.index, index, request.of.distinguisher, new Date(request.of.arrivedWallMs).toISOString(), request.seats, 0, '0s', '0001-01-01T00:00:00Z', ...(detailed ? details(request) : []),
  ])))
}

function details({ of: { digest } }: QueuedRequest<Pending>): string[] {
  const { user, verb, path, resource } = digest
  const version = resource ? (resource.group === '' ? resource.version : `${resource.group}/${resource.version}`) : ''
  return [user.name, verb, path, resource?.namespace ?? '', resource?.name ?? '', version, resource?.resource ?? '', resource?.subresource ?? '']
}

/** Go's tabwriter with a minimum width of 8: columns end in `, ` and are padded. */
function table(columns: readonly string[], rows: readonly Cells[]): ApiResponse {
  const lines = [[...columns], ...rows.map((r) => r.map(String))]
  const widths = columns.map((_, i) => Math.max(8, ...lines.map((l) => (l[i] ?? '').length + 2)))
  return textResponse(lines.map((l) => `${l.map((cell, i) => (i === l.length - 1 ? cell : `${cell},`.padEnd(widths[i] ?? 8))).join('')}\n`).join(''))
}
