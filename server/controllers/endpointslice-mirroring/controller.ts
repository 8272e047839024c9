/** Wires the EndpointSlice mirroring controller: which changes wake which Service. */
import { ENDPOINTS, ENDPOINT_SLICES, SERVICES, keyOf, splitKey, type EndpointSlice, type Endpoints, type Service, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isNamespaceTerminating, isOrdinary, recorderFor, unlessGone, type ControllerFactory } from '../controller.ts'
import { createRecentWrites } from '../recent-writes.ts'
import { MANAGED_BY, MANAGED_BY_LABEL, SERVICE_NAME_LABEL, decideMirror, type MirrorAction, type MirrorView } from './decide.ts'

const BY_MIRRORED = 'endpointslice-mirroring/service'

function byMirrored({ metadata }: EndpointSlice): string[] {
  const name = metadata?.labels?.[MANAGED_BY_LABEL] === MANAGED_BY ? metadata.labels[SERVICE_NAME_LABEL] : undefined
  return name === undefined ? [] : [`${metadata?.namespace ?? ''}/${name}`]
}

export const endpointSliceMirroringController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const services = informers.of<Service>(SERVICES)
  const endpoints = informers.of<Endpoints>(ENDPOINTS)
  const slices = informers.of<EndpointSlice>(ENDPOINT_SLICES, { indexes: { [BY_MIRRORED]: byMirrored } })
  const recent = createRecentWrites<EndpointSlice>(slices, clock)
  const recorder = recorderFor('endpoint-slice-mirroring-controller', deps)
  const loop = createLoop<MirrorView, MirrorAction>({
    name: 'endpointslice-mirroring-controller',
    observe: (key) => ({ endpoints: endpoints.get(key), service: services.get(key), slices: recent.merge(key, slices.byIndex(BY_MIRRORED, key)).objects }),
    decide: decideMirror,
    effects: ({ endpoints: mirrored }, key) => ({
      async createSlice({ slice }, signal) {
        try {
          recent.created(key, await client.create<EndpointSlice>(ENDPOINT_SLICES, slice, { signal }))
        } catch (error) {
          if (!isNamespaceTerminating(error)) throw error
        }
      },
      async updateSlice({ slice }, signal) {
        await client.update<EndpointSlice>(ENDPOINT_SLICES, slice, { signal })
      },
      async deleteSlice({ name, uid }, signal) {
        await unlessGone(client.delete(ENDPOINT_SLICES, name, splitKey(key).namespace, { preconditions: { uid }, signal }))
      },
      skipped({ count }) {
        if (mirrored) recorder.event(mirrored, 'Warning', 'TooManyAddressesToMirror', `A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. ${count} addresses were skipped`)
        return Promise.resolve()
      },
    }),
    isOrdinary,
  }, deps)
  const wake = (before: Stored<Endpoints | Service> | undefined, after: Stored<Endpoints | Service> | undefined): void => {
    const changed = after ?? before
    if (changed) loop.queue.add(keyOf(changed))
  }
  endpoints.onChange(wake)
  services.onChange(wake)
  slices.onChange((before, after) => { for (const slice of [before, after]) if (slice) for (const key of byMirrored(slice)) loop.queue.add(key) })
  return {
    name: 'endpointslice-mirroring-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
