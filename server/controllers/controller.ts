/** What every controller is given and what it gives back. `index.ts` lists them all; none knows another. */
import type { Client, Informers } from '#api/client/client.ts'
import { ApiError, isReason } from '#api/client/client.ts'
import { createEventRecorder, type EventRecorder } from '#api/client/event-recorder.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { ControllerMetrics } from './controller-metrics.ts'

export interface ControllersConfig {
  /** Pod network, `10.42.0.0/16`; dual stack: two, separated by a comma. */
  clusterCidr: string
  /** Prefix length of a node's share, default 24 (IPv4) and 64 (IPv6). */
  nodeCidrMaskSize?: number
  nodeCidrMaskSizeIpv6?: number
  /** PEM that goes into each namespace's kube-root-ca.crt. */
  rootCaPem: string
  /** How long a node may be silent before it counts as lost; default 40 s. */
  nodeGraceMs?: number
  /** Finished pods kept before the oldest are removed; upstream's default 12500. 0: all are kept. */
  terminatedPodsMax?: number
}

export interface ControllerDeps {
  client: Client
  informers: Informers
  clock: Clock
  random: Random
  log: Log
  config: ControllersConfig
  /** Undefined: nobody asks. */
  metrics?: ControllerMetrics
}

export interface Controller {
  /** Upstream's name, as in its logs and user agents. */
  name: string
  /** Runs until the signal aborts; called after the informers have synced. */
  run(signal: AbortSignal): Promise<void>
}

/** Registers informers and listeners; starts nothing. */
export type ControllerFactory = (deps: ControllerDeps) => Controller

export function recorderFor(component: string, deps: ControllerDeps): EventRecorder {
  return createEventRecorder(deps.client, { component, clock: deps.clock, random: deps.random, log: deps.log })
}

/** Someone else wrote first, or the object is gone: looked at again, not worth a warning. */
export function isOrdinary(error: Error): boolean {
  return isReason(error, 'Conflict', 'NotFound', 'AlreadyExists') || isNamespaceTerminating(error)
}

/** Nothing can be created in a namespace that is going away; that is no failure of the controller. */
export function isNamespaceTerminating(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.code !== 403) return false
  const causes = (error.details as { causes?: { reason?: string }[] } | undefined)?.causes ?? []
  return causes.some((c) => c.reason === 'NamespaceTerminating') || error.message.includes('because it is being terminated')
}

/** For deletes and the like that succeed when there is nothing left to do. */
export async function unlessGone(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error
  }
}
