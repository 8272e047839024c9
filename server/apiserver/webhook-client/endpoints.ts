/** Where a Service can be reached: its ready endpoints, as upstream's endpoint resolver reads them. Words and refusals are upstream's. */
import type { Client } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import { ENDPOINT_SLICES, SERVICES, type EndpointSlice, type Service } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'

export interface ServicePort { namespace: string; name: string; port: number }

export interface Address {
  /** An IP address, or the name of an ExternalName service. */
  host: string
  port: number
  /** Through whose tunnel; undefined: this machine dials. */
  node: string | undefined
}

export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name'

/** At least one. Rejects with `SERVICE_NOT_FOUND` or `NO_ENDPOINTS`. */
export async function resolveService(client: Client, { namespace, name, port }: ServicePort): Promise<Address[]> {
  const service = await findService(client, namespace, name)
  if (service.spec?.type === 'ExternalName') return [{ host: service.spec.externalName ?? '', port, node: undefined }]
  const wanted = (service.spec?.ports ?? []).find((p) => p.port === port)
  if (!wanted) throw new CodedError('NO_ENDPOINTS', `no service port ${port} found for service ${JSON.stringify(name)}`)
  const { items } = await client.list<EndpointSlice>(ENDPOINT_SLICES, { namespace, labelSelector: `${SERVICE_NAME_LABEL}=${name}` })
  const addresses = items.flatMap((slice) => addressesOf(slice, wanted.name ?? ''))
  if (addresses.length === 0) throw new CodedError('NO_ENDPOINTS', `no endpoints available for service ${JSON.stringify(name)}`)
  return addresses
}

async function findService(client: Client, namespace: string, name: string): Promise<Service> {
  try {
    return await client.get<Service>(SERVICES, name, namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) throw new CodedError('SERVICE_NOT_FOUND', `service ${JSON.stringify(name)} not found`, { cause: error })
    throw error
  }
}

export function addressesOf(slice: EndpointSlice, portName: string): Address[] {
  const port = (slice.ports ?? []).find((p) => (p.name ?? '') === portName)?.port
  if (port === undefined) return []
  return (slice.endpoints ?? []).filter((e) => e.conditions?.ready !== false && e.addresses[0] !== undefined)
    .map((e) => ({ host: e.addresses[0] ?? '', port, node: e.nodeName || undefined }))
}
