/** The store with its times taken, under the names that dashboards know from etcd. */
import type { Clock } from '#base/clock.ts'
import type { Store, Txn } from '#server/store/store.ts'
import { Metric, type SeriesHandle } from '#base/metrics.ts'

const SECONDS = [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60]

type Operation = 'get' | 'list' | 'create' | 'update' | 'delete'

export interface MeasuredStore extends Store { metrics(): Metric[] }

export function measureStore(store: Store, clock: Clock): MeasuredStore {
  const durations = new Metric('etcd_request_duration_seconds', 'histogram', 'Etcd request latency in seconds for each operation and object type.', SECONDS)
  const totals = new Metric('etcd_requests_total', 'counter', 'Etcd request counts for each operation and object type.')
  const errors = new Metric('etcd_request_errors_total', 'counter', 'Etcd failed request counts for each operation and object type.')
  const known = new Map<string, { duration: SeriesHandle; total: SeriesHandle; errors: SeriesHandle }>()

  const seriesOf = (operation: Operation, key: string) => {
    const id = `${operation} ${resourcePart(key)}`
    let series = known.get(id)
    if (!series) {
      const [group = '', resource = ''] = resourcePart(key).split('/')
      const labels = `group="${group === 'core' ? '' : group}",operation="${operation}",resource="${resource}"`
      known.set(id, (series = { duration: durations.series(labels), total: totals.series(labels), errors: errors.series(labels) }))
    }
    return series
  }
  /** Beside the answer's way, not on it. */
  const timed = <T>(operation: Operation, key: string, answer: Promise<T>): Promise<T> => {
    const begunMs = clock.monotonicMs()
    const done = (): void => {
      const series = seriesOf(operation, key)
      series.total.add()
      series.duration.observe((clock.monotonicMs() - begunMs) / 1000)
    }
    answer.then(done, () => {
      done()
      seriesOf(operation, key).errors.add()
    })
    return answer
  }

  return {
    revision: () => store.revision(),
    catchUp: () => store.catchUp(),
    leads: () => store.leads?.() ?? true,
    compactRevision: () => store.compactRevision(),
    get: (key, revision) => timed('get', key, store.get(key, revision)),
    list: (options) => timed('list', options.prefix, store.list(options)),
    txn: (txn) => timed(operationOf(txn), txn.ops[0]?.key ?? '', store.txn(txn)),
    watch: (options, listener) => store.watch(options, listener),
    changes: (options) => store.changes(options),
    compact: (revision) => store.compact(revision),
    snapshot: () => store.snapshot(),
    restore: (chunks) => store.restore(chunks),
    close: () => store.close(),
    metrics: () => [durations, totals, errors],
  }
}

function operationOf({ ops, compare }: Txn): Operation {
  if (ops[0]?.kind === 'delete') return 'delete'
  return compare[0]?.modRevision === 0 ? 'create' : 'update'
}

const ROOT = '/registry/'

/** `core/pods` of `/registry/core/pods/default/a`; '' for what is no resource. */
function resourcePart(key: string): string {
  if (!key.startsWith(ROOT)) return ''
  const end = key.indexOf('/', key.indexOf('/', ROOT.length) + 1)
  return end < 0 ? '' : key.slice(ROOT.length, end)
}
