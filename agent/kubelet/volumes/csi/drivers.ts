/**
 * The CSI drivers of this node: who registers (see plugins/) is asked what it can, and published in CSINode, the Node's annotation and its topology labels, as upstream's
 * pkg/volume/csi/nodeinfomanager does.
 */
import { isDeepStrictEqual } from 'node:util'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import type { Call } from '#base/grpc/call.ts'
import { goRpcError, GrpcError } from '#base/grpc/grpc-status.ts'
import { CodedError } from '#base/errors.ts'
import { isReason, type Client } from '#api/client/client.ts'
import { CSI_NODES, NODES, type CSINode, type Node, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Plugin, PluginHandler } from '../../plugins/plugin-watcher.ts'
import type { StorageOperations } from '../../stats/storage-operations.ts'
import { NODE_GET_CAPABILITIES, NODE_GET_INFO, type NodeInfo } from './calls.ts'
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
  /** Takes those that register (`CSIPlugin`). */
  readonly handler: PluginHandler
  /** Until aborted; never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** Something registered or went: what waited for it may go on. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
}

export interface CsiDriversDeps {
  nodeName: string
  client: Client
  clock: Clock
  random: Random
  log: Log
  operations: Pick<StorageOperations, 'timedCall'>
}

interface Registered extends CsiDriver { readonly endpoint: string; info: NodeInfo; close(): void }

const CALL_MS = 10_000
const NODE_ID_ANNOTATION = 'csi.volume.kubernetes.io/nodeid'

export function createCsiDrivers({ nodeName, client, clock, random, log, operations }: CsiDriversDeps): CsiDrivers {
  const byName = new Map<string, Registered>()
  const listeners = new Set<() => void>()
  const state: { last: Promise<void>; signal: AbortSignal } = { last: Promise.resolve(), signal: new AbortController().signal }
  const changed = (): void => {
    limits.follow([...byName.values()].map(({ name }) => name))
    for (const listener of listeners) listener()
  }

  /** One after the other: the cluster is told by one at a time. */
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = state.last.then(work)
    state.last = done.catch(() => { /* who asked for it is told */ })
    return done
  }

  const register = async ({ name, endpoint }: Plugin, signal: AbortSignal): Promise<void> => {
    const before = byName.get(name)
    // It is tried again: once the other one is gone it is taken.
    if (before && before.endpoint !== endpoint) throw new CodedError('CSI_DRIVER', `RegisterPlugin for CSI driver "${name}" failed. Another driver with the same name is already registered at ${before.endpoint}`)
    const driver = await meet(name, endpoint, signal)
    byName.set(name, driver)
    try {
      await publish(signal)
    } catch (error) {
      if (before) byName.set(name, before)
      else byName.delete(name)
      driver.close()
      throw error
    }
    before?.close()
    log.info('a CSI driver has registered', { driver: driver.name, nodeId: driver.info.nodeId })
    changed()
  }

  const deregister = async ({ name, endpoint }: Plugin, signal: AbortSignal): Promise<void> => {
    const driver = byName.get(name)
    if (driver?.endpoint === endpoint) {
      byName.delete(name)
      driver.close()
      log.info('a CSI driver is gone', { driver: driver.name })
      changed()
    }
    await publish(signal)
  }

  const meet = async (name: string, socketPath: string, signal: AbortSignal): Promise<Registered> => {
    const driver = new GrpcClient({ endpoint: { socketPath }, peer: `the CSI driver ${name}`, clock })
    const call: CsiDriver['call'] = (method, request, timeoutMs) => operations.timedCall(name, method.path, () => driver.unary(method, request, { timeoutMs, signal }).catch((error: unknown) => { throw asGrpcGo(error) }))
    try {
      const info = await call(NODE_GET_INFO, {}, CALL_MS)
      if (info.nodeId === '') throw new CodedError('CSI_DRIVER', `the CSI driver ${name} names no node id`)
      const { capabilities } = await call(NODE_GET_CAPABILITIES, {}, CALL_MS)
      return { name, endpoint: socketPath, call, info, capabilities: new Set(capabilities.map((c) => c.rpc?.type ?? 0)), close: () => driver.close() }
    } catch (error) {
      driver.close()
      throw error
    }
  }

  /** What is registered is what the cluster is told, whatever it was told before. */
  const publish = async (signal: AbortSignal): Promise<void> => {
    const drivers = [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
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

  const update = (name: string): Promise<void> => inTurn(async () => {
    const driver = byName.get(name)
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
  const limits = createLimitUpdates({ client, clock, random, log, update })

  return {
    update,
    get: (name) => byName.get(name),
    onChange(listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    handler: {
      validate: ({ name, supportedVersions }) => (supportedVersions.some((version) => /^v?1\.\d+/.test(version)) ? undefined : `failed to validate CSI driver with name ${name}: no supported version among ${supportedVersions.join(', ')}`),
      register: (plugin, signal) => inTurn(() => register(plugin, signal)),
      deregister: (plugin, signal) => inTurn(() => deregister(plugin, signal)),
    },
    async run(signal) {
      state.signal = signal
      await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true }) })
      limits.close()
      await state.last
      for (const driver of byName.values()) driver.close()
    },
  }
}

function asGrpcGo(error: unknown): unknown {
  return error instanceof GrpcError ? new GrpcError(error.status, goRpcError(error), { cause: error, wasSent: error.wasSent }) : error
}
