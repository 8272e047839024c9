/**
 * The store as the API server sees it when something is encrypted at rest: values of the resources configured are sealed on
 * their way in and opened on their way out. The store itself, its files and its snapshots hold only what is sealed. Values
 * of other resources pass through untouched.
 */
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Compare, KeyValue, Op, Store, Watch, WatchEvent } from '#server/store/store.ts'
import type { TransformMetrics } from './transform-metrics.ts'
import { identity, isEncrypted, type Opened, type Transformer } from './transformer.ts'

export interface TransformerTable {
  /** Undefined: kept as it is. `group` '' is the core group. */
  of(group: string, resource: string): Transformer | undefined
}

export interface SealedStore extends Store {
  /** For reads and writes from now on. `unchanged`: must hold whenever what was sealed with it is written; when it does not, another table is about to be used, or is already. */
  use(table: TransformerTable, unchanged?: Compare): void
}

/** `metrics`: counts what is sealed and opened. */
export function sealStore(store: Store, table: TransformerTable, log: Log, metrics?: TransformMetrics): SealedStore {
  const state: { byPrefix: ReturnType<typeof transformersByPrefix>; unchanged?: Compare | undefined } = { byPrefix: transformersByPrefix(table) }
  const transformerOf = (key: string): Transformer | undefined => state.byPrefix(key)

  function opened(kv: KeyValue): KeyValue | Promise<KeyValue> {
    const transformer = transformerOf(kv.key)
    if (!transformer && !isEncrypted(kv.value)) return kv
    const open = () => (transformer ?? identity).open(kv.value, kv.key)
    const result = explained(kv.key, () => (metrics ? metrics.measure<Opened>('from_storage', kv.key, () => kv.value, open) : open()))
    return result instanceof Promise ? result.then((r) => withValue(kv, r)) : withValue(kv, result)
  }

  function sealed(op: Op): Op | Promise<Op> {
    const transformer = op.kind === 'put' ? transformerOf(op.key) : undefined
    if (!transformer || op.kind !== 'put') return op
    const seal = () => transformer.seal(op.value, op.key)
    const value = explained(op.key, () => (metrics ? metrics.measure<Buffer>('to_storage', op.key, (made) => made, seal) : seal()))
    return value instanceof Promise ? value.then((v) => ({ ...op, value: v })) : { ...op, value }
  }

  async function openedAll(items: readonly KeyValue[]): Promise<readonly KeyValue[]> {
    const all = items.map((kv) => listed(kv.key, () => opened(kv)))
    return all.some((kv) => kv instanceof Promise) ? Promise.all(all.map((kv) => Promise.resolve(kv))) : (all as KeyValue[])
  }

  /** At once: a watch cannot wait. What was just written was sealed with a key that is at hand. */
  function openedNow(kv: KeyValue | undefined): KeyValue | undefined {
    if (!kv) return undefined
    try {
      const now = opened(kv)
      if (!(now instanceof Promise)) return now
      now.catch((error: unknown) => log.error('a changed object cannot be read', { key: kv.key, error: asError(error) }))
    } catch (error) {
      log.error('a changed object cannot be read', { key: kv.key, error: asError(error) })
    }
    return undefined
  }

  const openedLater = (events: readonly WatchEvent[]): readonly WatchEvent[] => (events.some((e) => isSealed(e)) ? events.map((e) => (isSealed(e) ? new OpenedEvent(e, openedNow) : e)) : events)

  return {
    use(next, unchanged) { Object.assign(state, { byPrefix: transformersByPrefix(next), unchanged }) },
    revision: () => store.revision(),
    catchUp: () => store.catchUp(),
    leads: () => store.leads?.() ?? true,
    compactRevision: () => store.compactRevision(),
    async get(key, revision) {
      const kv = await store.get(key, revision)
      return kv && opened(kv)
    },
    async list(options) {
      const result = await store.list(options)
      return { ...result, items: await openedAll(result.items) }
    },
    async txn(txn) {
      for (let attempts = 1; attempts <= SEALINGS_MAX; attempts++) {
        const { unchanged } = state
        const ops = txn.ops.map(sealed)
        const asserts = unchanged && ops.some((op, i) => op !== txn.ops[i])
        const result = await store.txn({ ...txn, ...(asserts && { compare: [...txn.compare, unchanged] }), ops: ops.some((op) => op instanceof Promise) ? await Promise.all(ops.map((op) => Promise.resolve(op))) : (ops as Op[]) })
        // The keys have changed since it was sealed.
        if (asserts && !result.ok && result.key === unchanged.key) continue
        return result.ok || !result.current ? result : { ...result, current: await opened(result.current) }
      }
      throw new CodedError('STORE_UNAVAILABLE', 'the keys of encryption at rest change all the time: nothing was written; try again')
    },
    watch(options, listener): Watch {
      return store.watch(options, (events, revision) => listener(openedLater(events), revision))
    },
    changes(options) {
      const { events, through } = store.changes(options)
      return { events: openedLater(events), through }
    },
    compact: (revision) => store.compact(revision),
    snapshot: () => store.snapshot(),
    restore: (chunks) => store.restore(chunks),
    close: () => store.close(),
  }
}

const isSealed = ({ current, previous }: WatchEvent): boolean => (current !== undefined && isEncrypted(current.value)) || (previous !== undefined && isEncrypted(previous.value))

/** Opened only when somebody looks: watchers that know what was before do not ask. */
class OpenedEvent implements WatchEvent {
  readonly kind: WatchEvent['kind']
  readonly key: string
  readonly revision: number
  readonly #sealed: WatchEvent
  readonly #open: (kv: KeyValue | undefined) => KeyValue | undefined
  #current: KeyValue | undefined | 'sealed' = 'sealed'

  constructor(sealed: WatchEvent, open: (kv: KeyValue | undefined) => KeyValue | undefined) {
    this.kind = sealed.kind
    this.key = sealed.key
    this.revision = sealed.revision
    this.#sealed = sealed
    this.#open = open
  }

  get current(): KeyValue | undefined {
    if (this.#current === 'sealed') this.#current = this.#open(this.#sealed.current)
    return this.#current
  }

  get previous(): KeyValue | undefined { return this.#open(this.#sealed.previous) }
}

function withValue(kv: KeyValue, { value, stale }: Opened): KeyValue {
  return { ...kv, value, ...(stale && { stale }) }
}

/** A failure that does not say itself which object it was about. */
function explained<T>(key: string, fn: () => T | Promise<T>): T | Promise<T> {
  const explain = (error: unknown): never => {
    if (hasCode(error, 'UNTRANSFORMABLE')) throw new CodedError('UNTRANSFORMABLE', asError(error).message, { details: { key } })
    throw error
  }
  try {
    const result = fn()
    return result instanceof Promise ? result.catch(explain) : result
  } catch (error) {
    return explain(error)
  }
}

/** In a list the message names the object, as upstream's does. */
function listed<T>(key: string, fn: () => T | Promise<T>): T | Promise<T> {
  const explain = (error: unknown): never => {
    if (hasCode(error, 'UNTRANSFORMABLE')) throw new CodedError('UNTRANSFORMABLE', `unable to transform key ${JSON.stringify(key)}: ${asError(error).message}`, { details: { key } })
    throw error
  }
  try {
    const result = fn()
    return result instanceof Promise ? result.catch(explain) : result
  } catch (error) {
    return explain(error)
  }
}

/** Keys change when a person wants it. */
const SEALINGS_MAX = 20
const ROOT = '/registry/'
const RESOURCES_MAX = 4_096

/** Looks a key's resource up once, by its `/registry/<group>/<resource>/`. */
function transformersByPrefix(table: TransformerTable): (key: string) => Transformer | undefined {
  const known = new Map<string, Transformer | undefined>()
  return (key) => {
    if (!key.startsWith(ROOT)) return undefined
    const groupEnd = key.indexOf('/', ROOT.length)
    const end = key.indexOf('/', groupEnd + 1)
    if (groupEnd < 0 || end < 0) return undefined
    const prefix = key.slice(ROOT.length, end)
    if (known.has(prefix)) return known.get(prefix)
    const group = key.slice(ROOT.length, groupEnd)
    const transformer = table.of(group === 'core' ? '' : group, key.slice(groupEnd + 1, end))
    if (known.size < RESOURCES_MAX) known.set(prefix, transformer)
    return transformer
  }
}
