/** The node's heartbeat: its Lease in kube-node-lease, renewed every 10 s (KEP-589). One small write, no read while it works. */
import { ApiError, isReason, type Client } from '#api/client/client.ts'
import { createConnectivity, type Connectivity } from '#api/client/connectivity.ts'
import { LEASES, NODES, type Lease, type Node, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { microTime } from '../time.ts'

export const LEASE_NAMESPACE = 'kube-node-lease'
export const LEASE_SECONDS = 40
/** Upstream's: a quarter of its life, and up to 4 % more, so that nodes that start together do not stay together. */
const RENEW_MS = 10_000
const JITTER = 0.04
const RETRY_MS_MIN = 200
const RETRY_MS_MAX = 7_000

export async function runNodeLease(client: Client, nodeName: string, deps: { clock: Clock; random: Random; log: Log; connectivity?: Connectivity; onReconnect?: () => void }, signal: AbortSignal): Promise<void> {
  const { clock, random, connectivity = createConnectivity(clock) } = deps
  const log = deps.log.with('lease')
  let known: Stored<Lease> | undefined
  let failures = 0
  while (!signal.aborted) {
    try {
      known = await renew(client, nodeName, known, clock.nowMs(), signal)
      if (failures > 0) {
        log.info('the server is reached again', { failures })
        connectivity.back()
        deps.onReconnect?.()
      }
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      known = undefined
      if (failures++ === 0) log.warn('cannot renew the node lease', { error: asError(error), refused: error instanceof ApiError })
    }
    try {
      if (failures === 0) await clock.sleep(RENEW_MS * (1 + JITTER * random.next()), signal)
      else await connectivity.sleep(Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(failures, 10)), signal)
    } catch {
      return // Only the end of the agent cuts the wait short.
    }
  }
}

async function renew(client: Client, nodeName: string, known: Stored<Lease> | undefined, nowMs: number, signal: AbortSignal): Promise<Stored<Lease>> {
  const spec = { holderIdentity: nodeName, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTime(nowMs) }
  const update = async (lease: Stored<Lease>) => client.update<Lease>(LEASES, { ...await owned(client, nodeName, lease, signal), spec: { ...lease.spec, ...spec } }, { signal })
  try {
    if (known) return await update(known)
  } catch (error) {
    // Someone else wrote or removed it: read it again, and at once, for others count its age.
    if (!isReason(error, 'Conflict', 'NotFound')) throw error
  }
  const lease = await maybeGet(client, nodeName, signal)
  if (lease) return update(lease)
  return client.create<Lease>(LEASES, {
    apiVersion: 'coordination.k8s.io/v1', kind: 'Lease',
    metadata: { name: nodeName, namespace: LEASE_NAMESPACE, ownerReferences: [await ownerOf(client, nodeName, signal)] },
    spec,
  }, { signal })
}

async function ownerOf(client: Client, nodeName: string, signal: AbortSignal) {
  const node = await client.get<Node>(NODES, nodeName, undefined, signal)
  return { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: node.metadata.uid }
}

/** One that somebody else made, or stripped, gets its Node as owner; without a Node it is still a heartbeat. */
async function owned(client: Client, nodeName: string, lease: Stored<Lease>, signal: AbortSignal): Promise<Stored<Lease>> {
  if (lease.metadata.ownerReferences?.length) return lease
  try {
    return { ...lease, metadata: { ...lease.metadata, ownerReferences: [await ownerOf(client, nodeName, signal)] } }
  } catch (error) {
    if (isReason(error, 'NotFound')) return lease
    throw error
  }
}

async function maybeGet(client: Client, nodeName: string, signal: AbortSignal): Promise<Stored<Lease> | undefined> {
  try {
    return await client.get<Lease>(LEASES, nodeName, LEASE_NAMESPACE, signal)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
