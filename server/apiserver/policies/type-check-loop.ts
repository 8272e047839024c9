/** Keeps status.observedGeneration and status.typeChecking of validating policies (controller `validatingadmissionpolicystatus`). Does nothing while there are none. */
import { ApiError } from '#api/client/client.ts'
import type { ResourceRef, ValidatingAdmissionPolicy } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import type { Watch } from '#server/store/store.ts'
import { prefixOf, splitStorageKey } from '../storage/keys.ts'
import type { Parts } from '../verbs/call.ts'
import { GROUP } from './policy-set.ts'
import { typeWarnings, type ExpressionWarning } from './type-check.ts'

interface View { name: string; generation: number; observed: number; warnings: ExpressionWarning[]; resourceVersion: string }
interface WriteStatus { kind: 'writeStatus'; observedGeneration: number; expressionWarnings: ExpressionWarning[] }

const RETRY_MS = 1_000

/** Begins at once; close ends it. */
export function startTypeChecks(parts: Parts): { close(): void } {
  const { store, rows, client, clock, random, log } = parts
  const row = rows.find(GROUP, 'v1', 'validatingadmissionpolicies')
  if (!row) return { close() { /* nothing was begun */ } }
  const stop = new AbortController()
  const loop = createLoop<View, WriteStatus>({
    name: 'validatingadmissionpolicy-status',
    async observe(name) {
      const policy = await client.get<ValidatingAdmissionPolicy>(row.ref, name).catch(absent)
      if (!policy) return undefined
      const generation = policy.metadata.generation ?? 0
      const observed = policy.status?.observedGeneration ?? 0
      const warnings = generation > observed ? typeWarnings(await import('#api/cel/index.ts'), policy, rows) : []
      return { name, generation, observed, warnings, resourceVersion: policy.metadata.resourceVersion }
    },
    decide: ({ generation, observed, warnings }) => (generation <= observed
      ? { actions: [], because: 'checked already' }
      : { actions: [{ kind: 'writeStatus', observedGeneration: generation, expressionWarnings: warnings }], because: `generation ${generation} is checked: ${warnings.length} warnings` }),
    effects: ({ name, resourceVersion }) => ({
      async writeStatus({ observedGeneration, expressionWarnings }) {
        const status = { observedGeneration, typeChecking: { expressionWarnings: expressionWarnings.length > 0 ? expressionWarnings : null } }
        await client.patch(row.ref, name, undefined, 'application/merge-patch+json', { metadata: { resourceVersion }, status }, { subresource: 'status' })
      },
    }),
    isOrdinary: (error) => error instanceof ApiError && (error.reason === 'Conflict' || error.reason === 'NotFound'),
  }, { clock, random, log })
  const state: { watch?: Watch } = {}
  void begin(row.ref)
  return {
    close() {
      stop.abort()
      state.watch?.close()
    },
  }

  async function begin(ref: ResourceRef): Promise<void> {
    const prefix = prefixOf(ref)
    const add = (key: string): void => loop.queue.add(splitStorageKey(ref, prefix.length, key).name)
    while (!stop.signal.aborted && !state.watch) {
      try {
        const { items, revision } = await store.list({ prefix })
        if (stop.signal.aborted) return
        for (const { key } of items) add(key)
        state.watch = store.watch({ prefix, afterRevision: revision }, (events) => { for (const { kind, key } of events) if (kind === 'put') add(key) })
      } catch (error) {
        if (stop.signal.aborted) return
        log.warn('validating admission policies could not be read; trying again', { error: asError(error) })
        await clock.sleep(RETRY_MS, stop.signal).catch(() => { /* stopped */ })
      }
    }
    await loop.run(stop.signal)
  }
}

function absent(error: unknown): undefined {
  if (error instanceof ApiError && error.reason === 'NotFound') return undefined
  throw error
}
