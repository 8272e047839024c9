/** Runs decide.ts for each definition that changed. Every server does: what they write is the same, and guarded by what they saw. */
import { ApiError, type Client } from '#api/client/client.ts'
import type { KubeObject } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { createLoop, type Loop } from '#base/reconcile/loop.ts'
import type { Store, Watch } from '#server/store/store.ts'
import { prefixOf } from '../storage/keys.ts'
import { decideDefinition, type DefinitionAction, type DefinitionView } from './decide.ts'
import { CLEANUP_FINALIZER, CRDS, type Definition } from './definition.ts'
import type { Registrar } from './registrar.ts'

export interface DefinitionLoopParts {
  registrar: Registrar
  store: Store
  /** As the API server itself. */
  client: Client
  isBuiltin: (group: string, resource: string) => boolean
  clock: Clock
  random: Random
  log: Log
}

/** Definitions often come in dozens (an operator's install). */
const WORKERS = 4

export function createDefinitionLoop(parts: DefinitionLoopParts): Loop {
  const { registrar, client, store } = parts
  /** Definitions whose objects are going: each that goes is a reason to look again. */
  const ends = new Map<string, Watch>()
  const followEnd = (definition: Definition) => {
    if (!ends.has(definition.name)) ends.set(definition.name, store.watch({ prefix: prefixOf(scopeOf(definition)), afterRevision: store.revision() }, () => loop.queue.add(definition.name)))
  }
  const unfollowEnd = (name: string) => {
    ends.get(name)?.close()
    ends.delete(name)
  }
  const loop = createLoop<DefinitionView, DefinitionAction>({
    name: 'crd',
    observe: (name) => observe(name, parts),
    decide: decideDefinition,
    effects: ({ definition }) => ({
      async writeStatus({ status, resourceVersion }) {
        await client.patch(CRDS, definition.name, undefined, 'application/merge-patch+json', { metadata: { resourceVersion: String(resourceVersion), uid: definition.uid }, status: replacing(status) }, { subresource: 'status' })
      },
      async deleteInstances() {
        followEnd(definition)
        await deleteInstances(definition, parts)
      },
      async removeFinalizer({ finalizers, resourceVersion }) {
        unfollowEnd(definition.name)
        await client.patch(CRDS, definition.name, undefined, 'application/merge-patch+json', { metadata: { resourceVersion: String(resourceVersion), uid: definition.uid, finalizers } })
      },
    }),
    isOrdinary: (error) => error instanceof ApiError && (error.reason === 'Conflict' || error.reason === 'NotFound'),
  }, { clock: parts.clock, random: parts.random, log: parts.log, workers: WORKERS })
  registrar.onChange((name) => {
    loop.queue.add(name)
    // A name that was let go may be what another waits for.
    const { group } = registrar.get(name) ?? { group: name.slice(name.indexOf('.') + 1) }
    for (const other of registrar.all()) if (other.group === group && other.name !== name && hasConflict(other)) loop.queue.add(other.name)
  })
  return loop
}

const hasConflict = ({ status }: Definition): boolean => (status.conditions ?? []).some((c) => c.type === 'NamesAccepted' && c.status === 'False')

/** A merge patch keeps what it does not name: optional names that are no longer accepted are named as null. */
function replacing(status: NonNullable<Definition['status']>): unknown {
  return { ...status, acceptedNames: { shortNames: null, categories: null, ...status.acceptedNames } }
}

async function observe(name: string, { registrar, store, isBuiltin }: DefinitionLoopParts): Promise<DefinitionView | undefined> {
  const definition = registrar.get(name)
  if (!definition) return undefined
  const resources = new Set<string>()
  const kinds = new Set<string>()
  for (const other of registrar.all()) {
    if (other.group !== definition.group || other.name === name) continue
    const { plural, singular, shortNames, kind, listKind } = other.status.acceptedNames ?? {}
    for (const taken of [plural, singular, ...(shortNames ?? [])]) if (taken) resources.add(taken)
    for (const taken of [kind, listKind]) if (taken) kinds.add(taken)
  }
  const isEnding = definition.deletionTimestamp !== undefined && definition.finalizers.includes(CLEANUP_FINALIZER)
  const left = isEnding ? await store.list({ prefix: prefixOf(scopeOf(definition)), countOnly: true }) : undefined
  return { definition, taken: { resources, kinds }, instances: left && left.items.length + left.remaining, isBuiltin: isBuiltin(definition.group, definition.names.plural) }
}

const scopeOf = ({ group, names, scope }: Definition) => ({ group, resource: names.plural, namespaced: scope === 'Namespaced' })

/** Through the API, so that finalizers and admission have their say; what is left is told by the next look. */
async function deleteInstances(definition: Definition, { client, store }: DefinitionLoopParts): Promise<void> {
  const { group, names, versions } = definition
  // That in which they are stored needs no conversion.
  const version = (versions.find((v) => v.served && v.storage) ?? versions.find((v) => v.served))?.name
  if (version === undefined) return removeStored(definition, store)
  const ref = { ...scopeOf(definition), version, kind: names.kind }
  const { items } = await client.list<KubeObject>(ref, { metadataOnly: true })
  const staying = items.filter((item) => item.metadata.deletionTimestamp === undefined)
  for (const namespace of new Set(staying.map((item) => item.metadata.namespace ?? ''))) {
    await client.raw('DELETE', `/apis/${group}/${version}${namespace === '' ? '' : `/namespaces/${namespace}`}/${names.plural}`)
  }
}

/** No version is served any more: nobody can be asked. */
async function removeStored(definition: Definition, store: Store): Promise<void> {
  const { items } = await store.list({ prefix: prefixOf(scopeOf(definition)) })
  for (const { key, modRevision } of items) await store.txn({ compare: [{ key, modRevision }], ops: [{ kind: 'delete', key }] })
}
