/**
 * Plugins that show a socket in `plugins_registry`: each is asked what it is, handed to whoever knows its kind, and told how it
 * went, as upstream's pkg/kubelet/pluginmanager does.
 */
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { asError } from '#base/errors.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import type { Log } from '#base/log.ts'
import { REGISTRATION_GET_INFO, REGISTRATION_NOTIFY } from './calls.ts'

export interface Plugin {
  readonly name: string
  /** The socket at which it serves. */
  readonly endpoint: string
  /** The socket by which it registers. */
  readonly registeredAt: string
  readonly supportedVersions: readonly string[]
}

/** Of one kind of plugins; asked one thing at a time. */
export interface PluginHandler {
  /** What is wrong with it; undefined: it may register. It is not asked again until its socket is another. */
  validate(plugin: Plugin): string | undefined
  /** Also for one that is registered already, and has begun anew. Rejects: the plugin is told, and it is tried again. */
  register(plugin: Plugin, signal: AbortSignal): Promise<void>
  /** Its socket is gone. Rejects: it is tried again. */
  deregister(plugin: Plugin, signal: AbortSignal): Promise<void>
}

export interface PluginWatcher {
  /** Watches for sockets until aborted; never rejects. */
  run(signal: AbortSignal): Promise<void>
}

export interface PluginWatcherDeps {
  directory: string
  /** By type: `CSIPlugin`, `DevicePlugin`, `DRAPlugin`. */
  handlers: ReadonlyMap<string, PluginHandler>
  clock: Clock
  log: Log
}

const CALL_MS = 10_000
const RETRY_MS = 5_000
const UNTOLD = ''

/** `identity`: of the socket itself, by which one of a plugin that began anew is another. `taken` undefined: it was refused. */
interface Known { readonly identity: string; readonly taken: { readonly handler: PluginHandler; readonly plugin: Plugin } | undefined }

export function createPluginWatcher({ directory, handlers, clock, log }: PluginWatcherDeps): PluginWatcher {
  const known = new Map<string, Known>()
  const state: { looking: Promise<void>; cancelRetry: () => void } = { looking: Promise.resolve(), cancelRetry: () => {} }

  const look = async (signal: AbortSignal): Promise<void> => {
    const found = await sockets(directory)
    let isIncomplete = false
    const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
      try {
        await work()
      } catch (error) {
        isIncomplete = true
        log.warn(`cannot ${what}, will try again`, { error: asError(error) })
      }
    }
    for (const [path, { taken }] of known) {
      if (found.has(path) || signal.aborted) continue
      await attempt(`let the plugin at ${path} go`, async () => {
        await taken?.handler.deregister(taken.plugin, signal)
        known.delete(path)
      })
    }
    for (const [path, identity] of found) {
      if (known.get(path)?.identity === identity || signal.aborted) continue
      await attempt(`register the plugin at ${path}`, () => register(path, identity, signal))
    }
    state.cancelRetry()
    state.cancelRetry = isIncomplete && !signal.aborted ? clock.after(RETRY_MS, () => lookSoon(signal)) : () => {}
  }
  const lookSoon = (signal: AbortSignal): void => { state.looking = state.looking.then(() => look(signal)).catch((error: unknown) => log.warn('cannot look for plugins', { error: asError(error) })) }

  /** What registered at this socket before and is another one now goes first: nobody would let it go later. */
  const leave = async (path: string, next: { handler: PluginHandler | undefined; plugin: Plugin }, signal: AbortSignal): Promise<void> => {
    const taken = known.get(path)?.taken
    if (!taken || (taken.handler === next.handler && taken.plugin.name === next.plugin.name && taken.plugin.endpoint === next.plugin.endpoint && taken.handler.validate(next.plugin) === undefined)) return
    await taken.handler.deregister(taken.plugin, signal)
    known.delete(path)
  }

  const register = async (path: string, identity: string, signal: AbortSignal): Promise<void> => {
    const registration = new GrpcClient({ endpoint: { socketPath: path }, peer: 'the plugin', clock })
    const tell = (problem: string) => registration.unary(REGISTRATION_NOTIFY, { pluginRegistered: problem === '', error: problem }, { timeoutMs: CALL_MS, signal })
    try {
      const { type, name, endpoint, supportedVersions } = await registration.unary(REGISTRATION_GET_INFO, {}, { timeoutMs: CALL_MS, signal })
      const plugin: Plugin = { name, endpoint: endpoint === '' ? path : endpoint, registeredAt: path, supportedVersions }
      const handler = handlers.get(type)
      await leave(path, { handler, plugin }, signal)
      const wrong = handler?.validate(plugin)
      const problem = !handler ? `RegisterPlugin error -- no handler registered for plugin type: ${type} at socket ${path}` : wrong === undefined ? undefined : `RegisterPlugin error -- plugin validation failed with err: ${wrong}`
      if (!handler || problem !== undefined) {
        log.warn('a plugin is not taken', { problem })
        known.set(path, { identity, taken: undefined })
        await tell(problem ?? '')
        return
      }
      try {
        await handler.register(plugin, signal)
      } catch (error) {
        await tell(`RegisterPlugin error -- plugin registration failed with err: ${asError(error).message}`).catch(() => { /* the first error counts */ })
        throw error
      }
      // One that could not be told is registered all the same: it is let go with its socket, or told when it is tried again.
      known.set(path, { identity: UNTOLD, taken: { handler, plugin } })
      await tell('')
      known.set(path, { identity, taken: { handler, plugin } })
    } finally {
      registration.close()
    }
  }

  return {
    async run(signal) {
      const watch = createDirectoryWatch({ clock, quietMs: 100, quietMsMax: 1_000, onQuiet: () => lookSoon(signal) })
      try {
        await mkdir(directory, { recursive: true, mode: 0o750 })
        watch.watch([directory])
      } catch (error) {
        log.warn('plugins cannot register here', { directory, error: asError(error) })
      }
      lookSoon(signal)
      await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true }) })
      watch.close()
      state.cancelRetry()
      await state.looking
    },
  }
}

/** By path, which one it is. */
async function sockets(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of (await readdir(directory)).toSorted()) {
    const path = join(directory, entry)
    const info = await stat(path, { bigint: true }).catch(() => undefined)
    if (info?.isSocket() && !entry.startsWith('.')) found.set(path, `${info.ino} ${info.ctimeNs}`)
  }
  return found
}
