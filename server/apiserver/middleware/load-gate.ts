/**
 * Who may in now: API priority and fairness where it is on, else upstream's two plain limits of requests in flight. Watches
 * pass while they begin; logs, exec and the like do not count.
 */
import type { UserInfo } from '#api/types/index.ts'
import type { RequestDigest } from '../flowcontrol/classify.ts'
import type { FlowControl, Turn } from '../flowcontrol/flow-control.ts'
import { listSeats, type StoredSize } from '../flowcontrol/work.ts'
import type { Query } from '../http/query.ts'
import type { ResourceInfo } from '../http/request-info.ts'
import { tooManyRequests } from '../http/status.ts'
import type { InFlight } from './in-flight.ts'

export interface Knock {
  user: UserInfo
  verb: string
  path: string
  info: ResourceInfo | undefined
  query: Query
  signal: AbortSignal
}

export interface LoadGate {
  /** Throws 429 when there is no room; `headers` gets what is to go with the answer. The function returned gives the place back. */
  enter(knock: Knock, headers: Record<string, string>): (() => void) | Promise<() => void>
}

const READ_ONLY: ReadonlySet<string> = new Set(['get', 'list', 'watch', 'head', 'options'])
const ONE_SEAT = (): number => 1
const REFUSAL = 'Too many requests, please try again later.'

export function createLoadGate(flowControl: FlowControl | undefined, inFlight: InFlight, sizeOf: (info: ResourceInfo) => StoredSize | undefined): LoadGate {
  const admitted = (turn: Turn, leave: () => void, headers: Record<string, string>): (() => void) => {
    headers['x-kubernetes-pf-flowschema-uid'] = turn.flowSchemaUid
    headers['x-kubernetes-pf-prioritylevel-uid'] = turn.priorityLevelUid
    if (turn.ok) {
      return () => {
        turn.leave()
        leave()
      }
    }
    leave()
    throw tooManyRequests(REFUSAL, turn.retryAfterSeconds)
  }
  return {
    enter(knock, headers) {
      const kind = READ_ONLY.has(knock.verb) ? 'readOnly' : 'mutating'
      if (!flowControl) return inFlight.enter(kind)
      const turn = flowControl.enter(digestOf(knock), seatsFor(knock, sizeOf), knock.signal)
      return turn instanceof Promise ? turn.then((t) => admitted(t, inFlight.count(kind), headers)) : admitted(turn, inFlight.count(kind), headers)
    },
  }
}

function digestOf({ user, verb, path, info }: Knock): RequestDigest {
  if (!info) return { user, verb, path }
  const { group, version, resource, subresource, namespace, name } = info
  return { user, verb, path, resource: { group, version, resource, subresource, name, namespace: group === '' && resource === 'namespaces' ? name : namespace } }
}

function seatsFor({ verb, info, query }: Knock, sizeOf: (info: ResourceInfo) => StoredSize | undefined): (seatsMax: number) => number {
  const isInitial = verb === 'watch' && query.flag('sendInitialEvents')
  if (!info || (verb !== 'list' && !isInitial)) return ONE_SEAT
  return (seatsMax) => {
    const limit = Number(query.text('limit'))
    const revision = query.text('resourceVersion')
    return listSeats({
      single: info.name !== '', limit: Number.isInteger(limit) ? limit : undefined, selective: query.text('labelSelector') !== '' || query.text('fieldSelector') !== '',
      // Only pages of the past are read from the store.
      fromCache: query.text('continue') === '' && query.text('resourceVersionMatch') !== 'Exact' && (revision === '' || revision === '0' || query.text('limit') === ''),
      stored: sizeOf(info),
    }, seatsMax)
  }
}
