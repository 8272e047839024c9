/** Which devices there are and who has them: gives them out one pod after the other, remembers it on disk, and tells the node how many there are. */
import type { Container, Pod, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { choose, reusable, settle, wishesOf, type PodDevices, type Wish } from './allocation.ts'
import { createHistogram, DEFAULT_BOUNDS } from '../stats/histogram.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { changedDevices } from './health.ts'
import { readCheckpoint, writeCheckpoint, type Checkpoint, type PodGrants } from './checkpoint.ts'
import { NO_GRANT, type Device, type DeviceGrant, type DeviceSource } from './source.ts'

export interface DeviceManager {
  /** It has taken the place of whoever had this resource, and will tell its devices; until then there are those that there were. */
  connected(source: DeviceSource): void
  /** All devices that a source has now; the newest source of a resource counts. */
  update(source: DeviceSource, devices: readonly Device[]): void
  /** Its plugin is gone: nothing of it is given out; forgotten after five minutes, unless another comes. */
  gone(source: DeviceSource): void
  /** Gives the pod's containers what they ask for, once. Throws DEVICES_UNAVAILABLE, worded as upstream's admission errors. */
  allocate(pod: Stored<Pod>): Promise<void>
  /** What this container was given; plugins that want to are asked before each start. */
  forContainer(pod: Stored<Pod>, container: Container): Promise<DeviceGrant>
  /** The pod has ended. */
  release(podUid: string): Promise<void>
  /** It is made of devices here: `allocate` decides about it. */
  manages(resource: string): boolean
  /** For the node's status, by resource. */
  capacity(): ReadonlyMap<string, { capacity: number; allocatable: number }>
  /** All that are told now, by resource; not those of a plugin that has not come back yet. */
  devices(): ReadonlyMap<string, readonly Device[]>
  /** By container. */
  given(podUid: string): PodDevices
  metrics(): MetricFamily[]
}

export interface DeviceManagerDeps {
  /** `<data-dir>/agent/device-plugins`. */
  directory: string
  /** Pods that are here; undefined: not known yet, so nothing is taken back. */
  live: () => ReadonlySet<string> | undefined
  onCapacity: () => void
  /** These pods have devices that are no longer as they were. */
  onHealth: (podUids: ReadonlySet<string>) => void
  clock: Clock
  log: Log
}

/** Upstream's endpointStopGracePeriod. */
const FORGET_MS = 300_000
const PRE_START_FAILED = 'device plugin PreStartContainer rpc failed with err'

interface Known {
  source: DeviceSource | undefined
  /** The last one wants to be asked before a container starts. */
  mustPreStart: boolean
  devices: readonly Device[]
  cancelForget: (() => void) | undefined
  /** It has not come back for so long that this is no resource of devices any more, but for those who have some. */
  forgotten: boolean
}

export async function openDeviceManager({ directory, live, onCapacity, onHealth, clock, log }: DeviceManagerDeps): Promise<DeviceManager> {
  const kept = await readCheckpoint(directory, log)
  const pods = new Map<string, PodGrants>(Object.entries(kept.pods))
  // What was there before this life is still to come: as upstream the node has none of it until it has.
  const known = new Map<string, Known>(Object.keys(kept.resources).map((resource) => [resource, { source: undefined, mustPreStart: false, forgotten: false, devices: [], cancelForget: undefined }]))
  const state: { turn: Promise<unknown>; written: string } = { turn: Promise.resolve(), written: JSON.stringify(kept) }

  const allocations = createHistogram({ name: 'kubelet_device_plugin_alloc_duration_seconds', help: '[ALPHA] Duration in seconds to serve a device plugin Allocation request. Broken down by resource name.', bounds: DEFAULT_BOUNDS, labels: ['resource_name'] })

  const forgetLater = (resource: string, entry: Known) => {
    entry.cancelForget?.()
    entry.cancelForget = clock.after(FORGET_MS, () => {
      entry.devices = []
      entry.forgotten = true
      log.warn('a device plugin has not come back: its devices are no longer told', { resource })
      keepLater()
      onCapacity()
    })
  }
  for (const [resource, entry] of known) forgetLater(resource, entry)

  /** One after another: nobody is given what somebody else is being given. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = state.turn.then(work, work)
    state.turn = turn.catch(() => { /* whoever asked hears of it */ })
    return turn
  }

  const keep = async (): Promise<void> => {
    const resources = Object.fromEntries([...known].filter(([, { forgotten }]) => !forgotten).map(([resource, { devices }]) => [resource, devices.length]))
    const checkpoint: Checkpoint = { pods: Object.fromEntries(pods), resources }
    const text = JSON.stringify(checkpoint)
    if (text === state.written) return
    await writeCheckpoint(directory, checkpoint)
    state.written = text
  }
  const keepLater = () => {
    inTurn(keep).catch((error: unknown) => log.error('cannot keep what devices there are: a restart of the agent would not know them', { error: asError(error) }))
  }

  const takenBy = (others: (uid: string) => boolean, resource: string): Set<string> => {
    const ids = [...pods].filter(([uid]) => others(uid)).flatMap(([, { devices }]) => Object.values(devices).flatMap((of) => of[resource] ?? []))
    return new Set(ids)
  }

  const tellOfHealth = (resource: string, before: readonly Device[], after: readonly Device[]): void => {
    const changed = changedDevices(before, after)
    if (changed.size === 0) return
    const owners = [...pods].filter(([, { devices }]) => Object.values(devices).some((of) => of[resource]?.some((id) => changed.has(id)))).map(([uid]) => uid)
    if (owners.length > 0) onHealth(new Set(owners))
  }

  const give = async (wish: Wish, uid: string, own: PodGrants): Promise<PodGrants> => {
    const { container, resource } = wish
    const entry = known.get(resource)
    if (!entry || entry.forgotten) throw new CodedError('DEVICES_UNAVAILABLE', `cannot allocate unregistered device ${resource}`)
    const reuse = reusable(wish, own.devices)
    const taken = takenBy((other) => other !== uid, resource)
    for (const of of Object.values(own.devices)) for (const id of of[resource] ?? []) taken.add(id)
    const choice = choose(wish, { devices: entry.devices, taken, reuse })
    if (!choice.ok) throw new CodedError('DEVICES_UNAVAILABLE', choice.message)
    // What is healthy has a source.
    const { source } = entry
    if (!source) throw new CodedError('DEVICES_UNAVAILABLE', `endpoint ${resource} has been stopped`)
    const mayChoose = choice.must.length < wish.count
    const preferred = mayChoose ? await source.preferred?.({ available: choice.available, must: choice.must, size: wish.count }) ?? [] : []
    const ids = settle(wish, choice, preferred)
    const beganMs = clock.monotonicMs()
    const grant = await source.allocate(ids).finally(() => allocations.observe((clock.monotonicMs() - beganMs) / 1000, { resource_name: resource }))
    log.info('devices are given', { pod: uid, container, resource, devices: ids.join(',') })
    return {
      devices: { ...own.devices, [container]: { ...own.devices[container], [resource]: ids } },
      grants: { ...own.grants, [container]: { ...own.grants[container], [resource]: grant } },
    }
  }

  const isGiven = (resource: string): boolean => [...pods.values()].some(({ devices }) => Object.values(devices).some((of) => of[resource] !== undefined))
  const manages = (resource: string): boolean => known.get(resource)?.forgotten === false || isGiven(resource)

  const allocate = (pod: Stored<Pod>): Promise<void> => {
    const { uid } = pod.metadata
    const wishes = () => wishesOf(pod, manages).filter(({ container, resource }) => pods.get(uid)?.devices[container]?.[resource] === undefined)
    if (wishes().length === 0) return Promise.resolve()
    return inTurn(async () => {
      const here = live()
      if (here) for (const other of pods.keys()) if (other !== uid && !here.has(other)) pods.delete(other)
      let own = pods.get(uid) ?? { devices: {}, grants: {} }
      try {
        for (const wish of wishes()) own = await give(wish, uid, own)
      } catch (error) {
        throw new CodedError('DEVICES_UNAVAILABLE', `Allocate failed due to ${asError(error).message}, which is unexpected`, { cause: error })
      }
      pods.set(uid, own)
      await keep()
    })
  }

  const take = (source: DeviceSource, devices: readonly Device[]): void => {
    known.get(source.resource)?.cancelForget?.()
    known.set(source.resource, { source, mustPreStart: source.preStart !== undefined, devices, cancelForget: undefined, forgotten: false })
  }

  return {
    connected: (source) => take(source, known.get(source.resource)?.devices ?? []),
    update(source, devices) {
      const before = known.get(source.resource)
      take(source, devices)
      if (before?.devices.length !== devices.length) keepLater()
      onCapacity()
      tellOfHealth(source.resource, before?.devices ?? [], devices)
    },
    gone(source) {
      const entry = known.get(source.resource)
      if (entry?.source !== source) return
      entry.source = undefined
      const before = entry.devices
      entry.devices = before.map((device) => ({ ...device, healthy: false }))
      forgetLater(source.resource, entry)
      onCapacity()
      tellOfHealth(source.resource, before, entry.devices)
    },
    allocate,
    async forContainer(pod, container) {
      await allocate(pod)
      const own = pods.get(pod.metadata.uid)
      const devices = own?.devices[container.name]
      if (!devices) return NO_GRANT
      for (const [resource, ids] of Object.entries(devices)) {
        const entry = known.get(resource)
        if (entry && !entry.source && entry.mustPreStart) throw new CodedError('DEVICES_UNAVAILABLE', `${PRE_START_FAILED}: endpoint ${resource} has been stopped`)
        await entry?.source?.preStart?.(ids).catch((error: unknown) => { throw new CodedError('DEVICES_UNAVAILABLE', `${PRE_START_FAILED}: ${asError(error).message}`, { cause: error }) })
      }
      return merge(Object.values(own.grants[container.name] ?? {}))
    },
    async release(uid) {
      if (!pods.has(uid)) return
      await inTurn(async () => {
        pods.delete(uid)
        await keep()
      })
    },
    manages,
    capacity: () => new Map([...known].map(([resource, { devices }]) => [resource, { capacity: devices.length, allocatable: devices.filter((d) => d.healthy).length }])),
    devices: () => new Map([...known].map(([resource, { devices }]) => [resource, devices])),
    given: (uid) => pods.get(uid)?.devices ?? {},
    metrics: () => [allocations.family()],
  }
}

/** Of several resources; where two say different things of one path, the first counts, as upstream. */
function merge(grants: readonly DeviceGrant[]): DeviceGrant {
  const byPath = <T extends { containerPath: string }>(all: readonly T[]): T[] => [...new Map(all.toReversed().map((one) => [one.containerPath, one])).values()].toReversed()
  const cdiDevices = [...new Set(grants.flatMap((g) => g.cdiDevices ?? []))]
  return {
    envs: Object.assign({}, ...grants.toReversed().map((g) => g.envs)) as Record<string, string>, annotations: Object.assign({}, ...grants.toReversed().map((g) => g.annotations)) as Record<string, string>,
    mounts: byPath(grants.flatMap((g) => g.mounts)), devices: byPath(grants.flatMap((g) => g.devices)),
    ...(cdiDevices.length > 0 && { cdiDevices }),
  }
}
