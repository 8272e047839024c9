/**
 * Static pods: `<data-dir>/agent/pod-manifests` holds pods that run whatever the API says, even if there is none. A mirror pod
 * shows each in the API. Files are read anew when the directory has been quiet for a moment.
 */
import { mkdir, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isReason, type Client } from '#api/client/client.ts'
import { PODS, type Pod, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { PodWorkers } from '../pod-worker.ts'
import { decideStatic, goesOnAs, type StaticAction } from './decide.ts'
import { isMirrorPod, isStaticPod, mirrorOf, staticPod } from './manifest.ts'

export interface StaticPodsDeps {
  /** '': no static pods. */
  directory: string
  nodeName: string
  client: Pick<Client, 'create' | 'delete'>
  workers: Pick<PodWorkers, 'upsert' | 'remove' | 'list' | 'setMirror'>
  /** Pods of this node in the API. */
  pods: { list(): readonly Stored<Pod>[]; hasSynced(): boolean }
  node: () => { name: string; uid: string } | undefined
  clock: Clock
  log: Log
}

export interface StaticPods {
  /** Until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** Something about a mirror, or a static pod's end: looks soon. */
  poke(): void
}

const QUIET_MS = 500
const QUIET_MS_MAX = 5_000
/** Also when nothing is heard (upstream's fileCheckFrequency), and after what failed. */
const LOOK_MS = 20_000
const FILE_BYTES_MAX = 1024 * 1024
const FILES_MAX = 500
/** It went and came again. To be renamed over is one change, which leaves a pod of the same manifest alone, as upstream. */
const CHANGES_OF_REPLACED = 2

export function createStaticPods(deps: StaticPodsDeps): StaticPods {
  const { directory, nodeName, client, workers, pods, clock } = deps
  const log = deps.log.with('static-pods')
  const told = new Map<string, string>()
  /** By uid: what a file said when it was first read, so that a new reading changes nothing. */
  const seen = new Map<string, Stored<Pod>>()
  /** By file: how often it came, went or was put in another's place since the last look. */
  const entries = new Map<string, number>()
  let wake: AbortController | undefined
  let poked = false

  const replaced = new Set<string>()

  const readWanted = async (): Promise<Stored<Pod>[]> => {
    const wanted = new Map<string, Stored<Pod>>()
    const changes = new Map(entries)
    entries.clear()
    const names = (await readdir(directory)).filter((n) => /\.(ya?ml|json)$/.test(n) && !n.startsWith('.')).toSorted().slice(0, FILES_MAX)
    for (const fileName of names) {
      try {
        const path = join(directory, fileName)
        const info = await stat(path)
        if (!info.isFile()) continue
        if (info.size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`)
        const { load } = await import('js-yaml')
        const pod = staticPod({ document: load(await readFile(path, 'utf8')), fileName, nodeName, nowMs: clock.nowMs() })
        const key = `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`
        if (wanted.has(key)) throw new Error(`another file has a pod of the name ${key}`)
        const known = seen.get(pod.metadata.uid)
        if (known && (changes.get(fileName) ?? 0) >= CHANGES_OF_REPLACED) replaced.add(pod.metadata.uid)
        wanted.set(key, known ?? pod)
        told.delete(fileName)
      } catch (error) {
        const message = asError(error).message
        if (told.get(fileName) !== message) log.error('a manifest is no static pod: mend it, or remove it', { file: join(directory, fileName), error: asError(error) })
        told.set(fileName, message)
      }
    }
    seen.clear()
    for (const pod of wanted.values()) seen.set(pod.metadata.uid, pod)
    for (const uid of replaced) if (!seen.has(uid)) replaced.delete(uid)
    return [...wanted.values()]
  }

  const apply = async (action: StaticAction, signal: AbortSignal): Promise<void> => {
    switch (action.kind) {
      case 'start': {
        const { uid } = action.pod.metadata
        workers.upsert(action.pod)
        if (replaced.delete(uid)) workers.setMirror(uid, pods.list().find((p) => isMirrorPod(p) && goesOnAs(p, action.pod)))
        return
      }
      case 'stop': return workers.remove(action.uid)
      case 'createMirror': {
        const node = deps.node()
        if (!node) return
        try {
          await client.create<Pod>(PODS, mirrorOf(action.pod, node), { signal })
        } catch (error) {
          if (!isReason(error, 'AlreadyExists')) throw error
        }
        return
      }
      case 'deleteMirror': {
        const { name, namespace, uid } = action.mirror.metadata
        try {
          await client.delete(PODS, name, namespace, { gracePeriodSeconds: 0, preconditions: { uid }, signal })
        } catch (error) {
          if (!isReason(error, 'NotFound', 'Conflict')) throw error
        }
      }
    }
  }

  const look = async (signal: AbortSignal) => {
    const wanted = await readWanted()
    const known = workers.list().filter((m) => isStaticPod(m.pod)).map((m) => ({ pod: m.pod, ending: m.removed }))
    const mirrors = pods.list().filter(isMirrorPod)
    for (const { pod } of known) workers.setMirror(pod.metadata.uid, mirrors.find((m) => m.metadata.name === pod.metadata.name && m.metadata.namespace === pod.metadata.namespace && m.metadata.deletionTimestamp === undefined))
    for (const action of decideStatic({ wanted, replaced, known, mirrors, isSynced: pods.hasSynced() })) {
      try {
        await apply(action, signal)
        if (action.kind === 'start' || action.kind === 'createMirror') poked = true
      } catch (error) {
        if (!signal.aborted) log.warn('cannot show a static pod in the API, will try again', { action: action.kind, error: asError(error) })
      }
    }
  }

  return {
    poke() {
      poked = true
      wake?.abort()
    },
    async run(signal) {
      if (directory === '') return
      await mkdir(directory, { recursive: true, mode: 0o700 }).catch((error: unknown) => log.warn('no directory for static pods', { error: asError(error) }))
      const watch = createDirectoryWatch({ clock, quietMs: QUIET_MS, quietMsMax: QUIET_MS_MAX, onQuiet: () => this.poke(), onEntry: (name) => entries.set(name, Math.min(CHANGES_OF_REPLACED, (entries.get(name) ?? 0) + 1)) })
      watch.watch([directory])
      try {
        while (!signal.aborted) {
          poked = false
          await look(signal).catch((error: unknown) => log.warn('cannot look at static pods, will try again', { error: asError(error) }))
          if (poked) {
            // What was begun is looked at once the informer may have heard of it.
            await clock.sleep(QUIET_MS, signal).catch(() => {})
            continue
          }
          wake = new AbortController()
          await clock.sleep(LOOK_MS, AbortSignal.any([signal, wake.signal])).catch(() => {}) // Woken or ended: the loop's condition tells which.
          wake = undefined
        }
      } finally {
        watch.close()
      }
    },
  }
}
