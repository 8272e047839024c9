/** Custom resources, put together: the rows of the table of kinds that definitions bring, and the loop that keeps definitions' conditions. */
import { asError } from '#base/errors.ts'
import { uuid } from '#base/random.ts'
import type { HealthCheck } from '../discovery/health.ts'
import type { Parts } from '../verbs/call.ts'
import { CRDS } from './definition.ts'
import { createDefinitionLoop } from './loop.ts'
import { Registrar } from './registrar.ts'

export interface CustomResources {
  /** All definitions that were stored are in the table of kinds. */
  readonly isReady: boolean
  readonly ready: Promise<void>
  readonly checks: readonly HealthCheck[]
  close(): void
}

const RETRY_MS = 1_000
/** Upstream's names for what is done once the definitions are read. */
const HOOKS = ['start-apiextensions-informers', 'start-apiextensions-controllers', 'crd-informer-synced']

/** Begins at once. */
export function startCustomResources(parts: Parts): CustomResources {
  const { store, rows, caches, clock, random, log, client } = parts
  const stop = new AbortController()
  const builtin = new Set(rows.all.map(({ ref }) => `${ref.group}/${ref.resource}`))
  const registrar = new Registrar({ store, rows, caches, conversion: { webhooks: () => parts.webhooks, uid: () => uuid(random) } })
  const isServed = rows.find(CRDS.group, CRDS.version, CRDS.resource) !== undefined

  const start = async (): Promise<void> => {
    while (isServed && !stop.signal.aborted) {
      try {
        await registrar.start()
        break
      } catch (error) {
        if (stop.signal.aborted) return
        log.warn('custom resource definitions could not be read; trying again', { error: asError(error) })
        await clock.sleep(RETRY_MS, stop.signal).catch(() => { /* stopped */ })
      }
    }
    if (!isServed || stop.signal.aborted) return
    const loop = createDefinitionLoop({ registrar, store, client, isBuiltin: (group, resource) => builtin.has(`${group}/${resource}`), clock, random, log })
    void loop.run(stop.signal)
  }
  const ready = start()
  return {
    get isReady() { return !isServed || registrar.isReady },
    ready,
    checks: isServed ? HOOKS.map((hook) => ({ name: `poststarthook/${hook}`, live: true, problem: () => (registrar.isReady ? undefined : 'custom resource definitions are still being read') })) : [],
    close() {
      stop.abort()
      registrar.close()
    },
  }
}
