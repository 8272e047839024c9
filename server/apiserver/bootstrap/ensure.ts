/**
 * Makes what must exist at start exist, and puts right what drifted from it. Idempotent: a second run writes nothing.
 * Called with a client of `system:apiserver` (or any user who may), before the server counts as ready.
 */
import { type Client, isReason } from '#api/client/client.ts'
import type { Endpoints, EndpointSlice, KubeObject, ResourceRef, Service, Stored } from '#api/types/index.ts'
import { ENDPOINTS, ENDPOINT_SLICES, NAMESPACES, PRIORITY_CLASSES, SERVICE_CIDRS, SERVICES } from '#api/types/index.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { type ApiServerAddress, defaultServiceCidr, kubernetesEndpoints, kubernetesEndpointSlice, kubernetesService, systemNamespaces, systemPriorityClasses } from './objects.ts'

/** Writers that meet (several servers starting) try again this often. */
const ATTEMPTS = 5

/** `addresses` undefined: several servers, and somebody else looks after whose addresses clients get. */
export async function ensureBootstrap(client: Client, server: Omit<ApiServerAddress, 'addresses'> & { addresses: readonly string[] | undefined }): Promise<void> {
  for (const namespace of systemNamespaces()) await ensure(client, NAMESPACES, namespace, () => undefined)
  for (const priorityClass of systemPriorityClasses()) await ensure(client, PRIORITY_CLASSES, priorityClass, () => undefined)
  await ensure(client, SERVICE_CIDRS, defaultServiceCidr(server), () => undefined)
  await ensureService(client, server)
  if (server.addresses) await ensureApiServerEndpoints(client, { ...server, addresses: server.addresses })
}

async function ensureService(client: Client, server: Omit<ApiServerAddress, 'addresses'>): Promise<void> {
  const service = kubernetesService(server)
  await ensure<Service>(client, SERVICES, service, (found) => {
    if (semanticEqual(found.spec?.ports, service.spec?.ports) && found.spec?.type === 'ClusterIP') return undefined
    return { ...found, spec: { ...found.spec, type: 'ClusterIP', ports: service.spec?.ports ?? [] } }
  })
}

/** Also to be called whenever the addresses change. */
export async function ensureApiServerEndpoints(client: Client, server: ApiServerAddress): Promise<void> {
  const endpoints = kubernetesEndpoints(server)
  await ensure<Endpoints>(client, ENDPOINTS, endpoints, (found) => {
    const same = semanticEqual(found.subsets, endpoints.subsets) && hasLabels(found, endpoints)
    return same ? undefined : { ...withLabels(found, endpoints), subsets: endpoints.subsets ?? [] }
  })
  const slice = kubernetesEndpointSlice(server)
  await ensure<EndpointSlice>(client, ENDPOINT_SLICES, slice, (found) => {
    const same = semanticEqual(found.endpoints, slice.endpoints) && semanticEqual(found.ports, slice.ports) && hasLabels(found, slice)
    return same ? undefined : { ...withLabels(found, slice), endpoints: slice.endpoints ?? [], ports: slice.ports ?? [] }
  })
}

const hasLabels = (found: KubeObject, wanted: KubeObject): boolean => Object.entries(wanted.metadata?.labels ?? {}).every(([k, v]) => found.metadata?.labels?.[k] === v)

function withLabels<T extends KubeObject>(found: T, wanted: KubeObject): T {
  return { ...found, metadata: { ...found.metadata, labels: { ...found.metadata?.labels, ...wanted.metadata?.labels } } }
}

/** `mend` gives the object as it should be, or undefined when it is right. */
async function ensure<T extends KubeObject>(client: Client, ref: ResourceRef, wanted: T, mend: (found: Stored<T>) => T | undefined): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const found = await find<T>(client, ref, wanted)
    const mended = found && mend(found)
    if (found && !mended) return
    try {
      await (mended ? client.update(ref, mended) : client.create(ref, wanted))
      return
    } catch (error) {
      // Someone else was faster: look again at what is there now.
      if (!isReason(error, 'AlreadyExists', 'Conflict', 'NotFound') || attempt >= ATTEMPTS) throw error
    }
  }
}

async function find<T extends KubeObject>(client: Client, ref: ResourceRef, wanted: T): Promise<Stored<T> | undefined> {
  try {
    return await client.get<T>(ref, wanted.metadata?.name ?? '', wanted.metadata?.namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
