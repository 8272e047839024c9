/**
 * The CSI drivers of this node: found by their sockets in `plugins_registry` (the kubelet's plugin watcher), asked who
 * they are, and published in CSINode, the Node's annotation and its topology labels, as upstream's
 * pkg/volume/csi/nodeinfomanager does.
 */
import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import type { Call } from '#base/grpc/call.ts'
import { goRpcError, GrpcError } from '#base/grpc/grpc-status.ts'
import { asError, CodedError } from '#base/errors.ts'
import { isReason, type Client } from '#api/client/client.ts'
import { CSI_NODES, NODES, type CSINode, type Node, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { StorageOperations } from '../../stats/storage-operations.ts'
import { NODE_GET_CAPABILITIES, NODE_GET_INFO, REGISTRATION_GET_INFO, REGISTRATION_NOTIFY, type NodeInfo } from './calls.ts'
import { createLimitUpdates } from './limit-updates.ts'

export interface CsiDriver {
  readonly name: string
  readonly capabilities: ReadonlySet<number>
  /** Rejects with a GrpcError, worded as grpc-go words it. */
  call<Request, Response, Asked, Answered>(method: Call<Request, Response, Asked, Answered>, request: Asked, timeoutMs: number): Promise<Response>
}

export interface CsiDrivers {
  /** Undefined: none of this name is registered. */
  get(name: string): CsiDriver | undefined
  /** Asks the driver anew what it can, and tells the cluster: how many volumes it attaches here may have changed. */
  update(name: string): Promise<void>
  /** Watches for sockets until aborted; never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** Something registered or went: what waited for it may go on. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
}

export interface CsiDriversDeps {
  nodeName: string
  client: Client
  /** Of the agent; drivers' sockets are below it. */
  rootDir: string
  clock: Clock
  random: Random
  log: Log
  operations: Pick<StorageOperations, 'timedCall'>
}

interface Registered extends CsiDriver { info: NodeInfo; close(): void }

const CALL_MS = 10_000
const RETRY_MS = 5_000
const NODE_ID_ANNOTATION = 'csi.volume.kubernetes.io/nodeid'

export function createCsiDrivers({ nodeName, client, rootDir, clock, random, log, operations }: CsiDriversDeps): CsiDrivers {
  const directory = join(rootDir, 'plugins_registry')
  const bySocket = new Map<string, Registered>()
  const refused = new Set<string>()
  const listeners = new Set<() => void>()
  const state: { looking: Promise<void>; cancelRetry?: (() => void) | undefined; signal: AbortSignal } = { looking: Promise.resolve(), signal: new AbortController().signal }
  const changed = (): void => {
    limits.follow([...bySocket.values()].map(({ name }) => name))
    for (const listener of listeners) listener()
  }

  const look = async (signal: AbortSignal): Promise<void> => {
    const found = await sockets(directory)
    for (const path of refused) if (!found.includes(path)) refused.delete(path)
    let isIncomplete = false
    for (const [path, driver] of bySocket) {
      if (found.includes(path) || signal.aborted) continue
      bySocket.delete(path)
      driver.close()
      log.info('a CSI driver is gone', { driver: driver.name })
      isIncomplete = !(await attempt(`take ${driver.name} out of the cluster's CSINode`, () => publish(signal))) || isIncomplete
      changed()
    }
    for (const path of found) {
      if (bySocket.has(path) || refused.has(path) || signal.aborted) continue
      isIncomplete = !(await attempt(`register the plugin at ${path}`, () => register(path, signal))) || isIncomplete
    }
    state.cancelRetry?.()
    state.cancelRetry = isIncomplete && !signal.aborted ? clock.after(RETRY_MS, () => lookSoon(signal)) : undefined
  }
  const lookSoon = (signal: AbortSignal) => { state.looking = state.looking.then(() => look(signal)).catch((error: unknown) => log.warn('cannot look for plugins', { error: asError(error) })) }

  const attempt = async (what: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work()
      return true
    } catch (error) {
      log.warn(`cannot ${what}, will try again`, { error: asError(error) })
      return false
    }
  }

  const register = async (path: string, signal: AbortSignal): Promise<void> => {
    const registration = new GrpcClient({ endpoint: { socketPath: path }, peer: 'the plugin', clock })
    try {
      const plugin = await registration.unary(REGISTRATION_GET_INFO, {}, { timeoutMs: CALL_MS, signal })
      const problem = plugin.type !== 'CSIPlugin' ? `no handler registered for plugin type: ${plugin.type} at socket ${path}`
        : !plugin.supportedVersions.some((version) => /^v?1\.\d+/.test(version)) ? `failed to validate CSI driver with name ${plugin.name}: no supported version among ${plugin.supportedVersions.join(', ')}`
          : undefined
      if (problem !== undefined) {
        refused.add(path)
        log.warn('a plugin is not taken', { problem })
        await registration.unary(REGISTRATION_NOTIFY, { pluginRegistered: false, error: problem }, { timeoutMs: CALL_MS, signal })
        return
      }
      const driver = await meet(plugin.name, plugin.endpoint === '' ? path : plugin.endpoint, signal)
      bySocket.set(path, driver)
      try {
        await publish(signal)
      } catch (error) {
        bySocket.delete(path)
        driver.close()
        await registration.unary(REGISTRATION_NOTIFY, { pluginRegistered: false, error: `RegisterPlugin error -- ${asError(error).message}` }, { timeoutMs: CALL_MS, signal }).catch(() => { /* the first error counts */ })
        throw error
      }
      await registration.unary(REGISTRATION_NOTIFY, { pluginRegistered: true }, { timeoutMs: CALL_MS, signal })
      log.info('a CSI driver has registered', { driver: driver.name, nodeId: driver.info.nodeId })
      changed()
    } finally {
      registration.close()
    }
  }

  const meet = async (name: string, socketPath: string, signal: AbortSignal): Promise<Registered> => {
    const driver = new GrpcClient({ endpoint: { socketPath }, peer: `the CSI driver ${name}`, clock })
    const call: CsiDriver['call'] = (method, request, timeoutMs) => operations.timedCall(name, method.path, () => driver.unary(method, request, { timeoutMs, signal }).catch((error: unknown) => { throw asGrpcGo(error) }))
    try {
      const info = await call(NODE_GET_INFO, {}, CALL_MS)
      if (info.nodeId === '') throw new CodedError('CSI_DRIVER', `the CSI driver ${name} names no node id`)
      const { capabilities } = await call(NODE_GET_CAPABILITIES, {}, CALL_MS)
      return { name, call, info, capabilities: new Set(capabilities.map((c) => c.rpc?.type ?? 0)), close: () => driver.close() }
    } catch (error) {
      driver.close()
      throw error
    }
  }

  /** What is registered is what the cluster is told, whatever it was told before. */
  const publish = async (signal: AbortSignal): Promise<void> => {
    const drivers = [...bySocket.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const node = await client.get<Node>(NODES, nodeName, undefined, signal)
    const annotations = { [NODE_ID_ANNOTATION]: drivers.length === 0 ? null : JSON.stringify(Object.fromEntries(drivers.map((d) => [d.name, d.info.nodeId]))) }
    const labels = Object.assign({}, ...drivers.map((d) => d.info.accessibleTopology?.segments ?? {})) as Record<string, string>
    await client.patch<Node>(NODES, nodeName, undefined, 'application/merge-patch+json', { metadata: { annotations, labels } }, { signal })
    const wanted = drivers.map((d) => ({
      name: d.name, nodeID: d.info.nodeId, topologyKeys: Object.keys(d.info.accessibleTopology?.segments ?? {}).toSorted(),
      ...(d.info.maxVolumesPerNode > 0 && { allocatable: { count: d.info.maxVolumesPerNode } }),
    }))
    const before = await csiNode(node, signal)
    if (JSON.stringify(before.spec.drivers.map(({ name, nodeID, topologyKeys = [], allocatable }) => ({ name, nodeID, topologyKeys, ...(allocatable && { allocatable }) }))) === JSON.stringify(wanted)) return
    await client.update<CSINode>(CSI_NODES, { ...before, spec: { drivers: wanted } }, { signal })
  }

  const csiNode = async (node: Stored<Node>, signal: AbortSignal): Promise<Stored<CSINode>> => {
    try {
      return await client.get<CSINode>(CSI_NODES, nodeName, undefined, signal)
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error
      const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: node.metadata.uid }]
      return client.create<CSINode>(CSI_NODES, { apiVersion: 'storage.k8s.io/v1', kind: 'CSINode', metadata: { name: nodeName, ownerReferences }, spec: { drivers: [] } }, { signal })
    }
  }

  /** After what is under way: the cluster is told by one at a time. */
  const update = (name: string): Promise<void> => {
    const done = state.looking.then(async () => {
      const driver = [...bySocket.values()].find((each) => each.name === name)
      if (!driver || state.signal.aborted) return
      const info = await driver.call(NODE_GET_INFO, {}, CALL_MS)
      if (isDeepStrictEqual(info, driver.info)) return
      const before = driver.info
      driver.info = info
      try {
        await publish(state.signal)
      } catch (error) {
        // It is told with the next look.
        driver.info = before
        throw error
      }
    })
    state.looking = done.catch(() => { /* who asked for it is told */ })
    return done
  }
  const limits = createLimitUpdates({ client, clock, random, log, update })

  return {
    update,
    get: (name) => [...bySocket.values()].find((driver) => driver.name === name),
    onChange(listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    async run(signal) {
      state.signal = signal
      await mkdir(directory, { recursive: true, mode: 0o750 })
      const watch = createDirectoryWatch({ clock, quietMs: 100, quietMsMax: 1_000, onQuiet: () => lookSoon(signal) })
      watch.watch([directory])
      lookSoon(signal)
      await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true }) })
      watch.close()
      limits.close()
      state.cancelRetry?.()
      await state.looking
      for (const driver of bySocket.values()) driver.close()
    },
  }
}

function asGrpcGo(error: unknown): unknown {
  return error instanceof GrpcError ? new GrpcError(error.status, goRpcError(error), { cause: error, wasSent: error.wasSent }) : error
}

async function sockets(directory: string): Promise<string[]> {
  const found: string[] = []
  for (const entry of await readdir(directory)) {
    const path = join(directory, entry)
    const info = await stat(path).catch(() => undefined)
    if (info?.isSocket() && !entry.startsWith('.')) found.push(path)
  }
  return found.toSorted()
}
