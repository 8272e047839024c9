/**
 * Keeps what is in `<data-dir>/server/manifests/` applied: a client like any other, with server-side apply. Told by the
 * file system when files change and by watches (of metadata alone) when an object of theirs does.
 *
 *   files --> observe --> decide --> apply --> API
 *               ^------ what the watches heard --'
 */
import { createHash } from 'node:crypto'
import type { Client, WriteOptions } from '#api/client/client.ts'
import { discover } from '#api/client/discovery.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { createInformer } from '#api/client/informer.ts'
import { CLUSTER_CONFIG_NAME, CLUSTER_CONFIG_NAMESPACE } from '#api/cluster-config.ts'
import type { KubeObject, ResourceRef, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { decideManifests, nextRepairs, type AppliedObject, type FailedObject, type ManifestAction, type ManifestsView, type WantedObject } from './decide.ts'
import { parseManifest } from './parse-manifest.ts'
import { readManifests } from './read-manifests.ts'

export interface ManifestsDeps {
  /** `<data-dir>/server/manifests`. */
  directory: string
  client: Client
  events: EventRecorder
  clock: Clock
  random: Random
  log: Log
}

export const FIELD_MANAGER = 'skiff-manifests'

const KEY = 'manifests'
const APPLY: WriteOptions = { fieldManager: FIELD_MANAGER, force: true }
/** Files that are being copied come in pieces. */
const QUIET_MS = 300
const QUIET_MS_MAX = 5_000
/** Changes in the cluster come in bursts, too. */
const HEARD_MS = 500
/** Between two looks at which kinds there are, for one that is not known (yet). */
const DISCOVER_MS = 5_000
const ABOUT = { apiVersion: 'v1', kind: 'ConfigMap', name: CLUSTER_CONFIG_NAME, namespace: CLUSTER_CONFIG_NAMESPACE }

/** Works until the signal aborts. Never rejects for what is in the files. */
export async function runManifests(deps: ManifestsDeps, signal: AbortSignal): Promise<void> {
  const { directory, client, clock, random } = deps
  const log = deps.log.with('manifests')
  const applied = new Map<string, AppliedObject>()
  const failed = new Map<string, FailedObject & { message: string }>()
  const heard = new Map<string, string>()
  const told = new Map<string, string>()
  const watches = new Map<string, AbortController>()
  const kinds = createKinds(client, clock)

  const observe = async (): Promise<ManifestsView> => {
    const { files, directories } = await readManifests(directory)
    watch.watch(directories)
    const wanted: WantedObject[] = []
    const problems = new Map<string, string>()
    for (const { name, content } of files) {
      const parsed = 'text' in content ? parseManifest(content.text) : { ok: false as const, problem: content.problem }
      if (parsed.ok) wanted.push(...parsed.objects.map((object) => wantedObject(name, object)))
      else problems.set(name, parsed.problem)
    }
    forgetOthers(new Set(wanted.map((w) => w.key)))
    return { wanted, problems, applied, failed, heard, told }
  }
  /** What is in no file any more is nobody's business here. */
  const forgetOthers = (keys: ReadonlySet<string>) => {
    for (const map of [applied, failed, heard]) for (const key of map.keys()) if (!keys.has(key)) map.delete(key)
    const needed = new Set([...applied.keys()].map(scopeOf))
    for (const [scope, stop] of watches) {
      if (needed.has(scope)) continue
      stop.abort()
      watches.delete(scope)
    }
  }

  const effects: Effects<ManifestAction> = {
    async apply({ wanted, because }) {
      const { key, file, hash, object } = wanted
      const before = applied.get(key)
      let stored: Stored<KubeObject>
      let ref: ResourceRef
      try {
        ref = await kinds.refOf(object)
        const namespace = ref.namespaced ? (object.metadata?.namespace ?? 'default') : undefined
        stored = await client.patch<KubeObject>(ref, object.metadata?.name ?? '', namespace, 'application/apply-patch+yaml', object, { ...APPLY, signal })
      } catch (error) {
        if (signal.aborted) return
        const { message } = asError(error)
        const last = failed.get(key)
        if (last?.hash !== hash || last.message !== message) {
          log.error('a manifest could not be applied: trying again', { file, object: key, error: asError(error) })
          deps.events.event(ABOUT, 'Warning', 'ApplyManifestFailed', `${file}: ${key}: ${message}`)
        }
        failed.set(key, { hash, message, failedMs: clock.nowMs(), failures: last?.hash === hash ? last.failures + 1 : 1 })
        // Decides when to try again.
        loop.queue.addAfter(KEY, 1)
        return
      }
      failed.delete(key)
      const isRepair = because === 'changedInCluster' || because === 'deletedInCluster'
      const signature = signatureOf(stored)
      applied.set(key, { hash, signature, repairs: nextRepairs(before, isRepair, clock.nowMs()), repairedMs: clock.nowMs() })
      // Until something else is heard; the watch may be behind.
      heard.delete(key)
      if (signature !== before?.signature) log.info('applied', { file, object: key, because })
      follow(key, ref, stored.metadata.namespace)
    },
    tellProblem({ file, problem }) {
      told.set(file, problem)
      log.error('a manifest is not applied: mend or remove it', { file, problem })
      deps.events.event(ABOUT, 'Warning', 'ApplyManifestFailed', `${file}: ${problem}`)
      return Promise.resolve()
    },
    forgetProblem({ file }) {
      told.delete(file)
      return Promise.resolve()
    },
  }

  /** One watch per kind and namespace, of names and versions only. */
  const follow = (key: string, ref: ResourceRef, namespace: string | undefined) => {
    const scope = scopeOf(key)
    if (watches.has(scope)) return
    const stop = new AbortController()
    watches.set(scope, stop)
    const created = createInformer<KubeObject>(client, ref, { metadataOnly: true, ...(namespace !== undefined && { namespace }), transform: onlyWhatMatters }, { clock, random, log })
    created.informer.onChange((before, after) => {
      const object = after ?? before
      const changed = object && `${scope}${object.metadata.name}`
      if (changed === undefined || !applied.has(changed)) return
      const now = after ? signatureOf(after) : 'gone'
      heard.set(changed, now)
      if (now !== applied.get(changed)?.signature) loop.queue.addAfter(KEY, HEARD_MS)
    })
    void created.run(AbortSignal.any([signal, stop.signal]))
  }

  const loop = createLoop<ManifestsView, ManifestAction>({ name: 'manifests', observe, decide: decideManifests, effects: () => effects }, { clock, random, log: deps.log })
  const watch = createDirectoryWatch({ clock, quietMs: QUIET_MS, quietMsMax: QUIET_MS_MAX, onQuiet: () => loop.queue.add(KEY) })
  loop.queue.add(KEY)
  await loop.run(signal)
  watch.close()
}

function wantedObject(file: string, object: KubeObject): WantedObject {
  const group = groupOf(object)
  return { key: `${group}/${object.kind}/${object.metadata?.namespace ?? ''}/${object.metadata?.name}`, file, hash: createHash('sha256').update(JSON.stringify(object)).digest('base64'), object }
}

const groupOf = (object: KubeObject): string => (object.apiVersion?.includes('/') ? object.apiVersion.slice(0, object.apiVersion.indexOf('/')) : '')

/** A key up to its name. */
const scopeOf = (key: string): string => key.slice(0, key.lastIndexOf('/') + 1)

/** Differs when something that a manifest could have set differs; a status does not count where there is a generation. */
export function signatureOf({ metadata }: Stored<KubeObject>): string {
  const { uid, generation, resourceVersion, labels, annotations, ownerReferences, finalizers, deletionTimestamp } = metadata
  if (deletionTimestamp !== undefined) return 'going'
  return createHash('sha256').update(JSON.stringify(generation === undefined ? [uid, resourceVersion] : [uid, generation, labels, annotations, ownerReferences, finalizers])).digest('base64')
}

/** The cache holds all objects of a kind in a namespace: no more of each than a signature needs. */
function onlyWhatMatters(object: Stored<KubeObject>): Stored<KubeObject> {
  const { name, namespace, uid, generation, resourceVersion, labels, annotations, ownerReferences, finalizers, deletionTimestamp } = object.metadata
  return { metadata: { name, uid, resourceVersion, ...(namespace !== undefined && { namespace }), ...(generation !== undefined && { generation }), ...(labels && { labels }), ...(annotations && { annotations }), ...(ownerReferences && { ownerReferences }), ...(finalizers && { finalizers }), ...(deletionTimestamp !== undefined && { deletionTimestamp }) } } as Stored<KubeObject>
}

/** Which resource a kind is served as; asked for again when one is missing, as CRDs come. */
function createKinds(client: Client, clock: Clock) {
  const state: { refs: Map<string, ResourceRef>; askedMs: number } = { refs: new Map(), askedMs: -Infinity }
  return {
    async refOf(object: KubeObject): Promise<ResourceRef> {
      const id = `${groupOf(object)}/${object.kind}`
      if (!state.refs.has(id) && clock.monotonicMs() - state.askedMs >= DISCOVER_MS) {
        state.refs = new Map((await discover(client)).resources.map(({ ref }) => [`${ref.group}/${ref.kind}`, ref]))
        state.askedMs = clock.monotonicMs()
      }
      const ref = state.refs.get(id)
      if (!ref) throw new CodedError('NO_SUCH_KIND', `no matches for kind "${object.kind}" in version "${object.apiVersion}"`)
      return { ...ref, version: (object.apiVersion ?? '').slice((object.apiVersion ?? '').indexOf('/') + 1) }
    },
  }
}
