/** Endpoints and EndpointSlices: addresses behind Services. */
import type { Endpoints, EndpointSlice } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkPortNumber, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required, tooMany } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { checkLabels, immutable, named, oneOf } from './check.ts'
import { validateEndpointIp } from './endpoint-ip.ts'
import { familyOf, isIpAddress } from './ip.ts'
import { ageColumn, column, listWithMore, nameColumn } from './table-columns.ts'

const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const ENDPOINTS_MAX = 1000
const ADDRESSES_MAX = 100
const PORTS_MAX = 20_000
const TOPOLOGY_MAX = 16

export const endpointsStrategy: KindStrategy<Endpoints> = {
  generation: false,
  defaults(endpoints) {
    for (const subset of endpoints.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP'
  },
  validate: (endpoints) => validateEndpoints(endpoints),
  validateUpdate: (endpoints) => validateEndpoints(endpoints),
  warnings: () => ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
  columns: [nameColumn(), column('Endpoints', 'The set of all endpoints is the union of all subsets.', endpointsText), ageColumn()],
}

function validateEndpoints(endpoints: Endpoints): FieldError[] {
  return (endpoints.subsets ?? []).flatMap((subset, i) => {
    const at = `subsets[${i}]`
    const out: FieldError[] = []
    if ((subset.addresses ?? []).length === 0 && (subset.notReadyAddresses ?? []).length === 0) out.push(required(at, 'must specify `addresses` or `notReadyAddresses`'))
    for (const list of ['addresses', 'notReadyAddresses'] as const) {
      for (const [j, address] of (subset[list] ?? []).entries()) {
        // Upstream looks twice at what is no address.
        out.push(...validateEndpointIp(`${at}.${list}[${j}].ip`, address.ip), ...(isIpAddress(address.ip) ? [] : [invalid(`${at}.${list}[${j}].ip`, address.ip, 'must be a valid IP address')]))
        if (address.hostname) out.push(...named(`${at}.${list}[${j}].hostname`, address.hostname, checkDnsLabel))
        if (address.nodeName) out.push(...named(`${at}.${list}[${j}].nodeName`, address.nodeName, checkDnsSubdomain))
      }
    }
    const many = (subset.ports ?? []).length > 1
    for (const [j, port] of (subset.ports ?? []).entries()) {
      if (!port.name) out.push(...(many ? [required(`${at}.ports[${j}].name`)] : []))
      else out.push(...named(`${at}.ports[${j}].name`, port.name, checkDnsLabel))
      out.push(...checkPortNumber(port.port).map((m) => invalid(`${at}.ports[${j}].port`, port.port, m)), ...oneOf(`${at}.ports[${j}].protocol`, port.protocol, PROTOCOLS, 'required'))
      if (port.appProtocol !== undefined) out.push(...named(`${at}.ports[${j}].appProtocol`, port.appProtocol, checkQualifiedName))
    }
    return out
  })
}

function endpointsText(endpoints: Endpoints): string {
  const join = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)
  const all = (endpoints.subsets ?? []).flatMap((s) => (s.ports?.length ? s.ports.flatMap((p) => (s.addresses ?? []).map((a) => join(a.ip, p.port))) : (s.addresses ?? []).map((a) => a.ip)))
  return listWithMore(all, (endpoints.subsets ?? []).length === 0 ? '<none>' : '')
}

export const endpointSliceStrategy: KindStrategy<EndpointSlice> = {
  defaults(slice) {
    for (const endpoint of slice.endpoints ?? []) endpoint.conditions ??= {}
    for (const port of slice.ports ?? []) {
      port.name ??= ''
      port.protocol ||= 'TCP'
    }
  },
  // Upstream counts a change of labels too: they say which Service the slice belongs to.
  generation: (slice, old) => JSON.stringify([slice.endpoints, slice.ports, slice.metadata?.labels]) !== JSON.stringify([old.endpoints, old.ports, old.metadata?.labels]),
  validate: validateSlice,
  validateUpdate: (slice, old) => [...immutable('addressType', slice.addressType, old.addressType), ...validateSlice(slice)],
  columns: [
    nameColumn(),
    column('AddressType', 'addressType specifies the type of address carried by this EndpointSlice.', (o) => o.addressType),
    column('Ports', 'ports specifies the list of network ports exposed by each endpoint in this slice.', (o) => listWithMore((o.ports ?? []).map((p) => (p.port !== undefined ? String(p.port) : (p.name ?? '*'))), '<unset>')),
    column('Endpoints', 'endpoints is a list of unique endpoints in this slice.', (o) => listWithMore((o.endpoints ?? []).flatMap((e) => e.addresses), '<unset>')),
    ageColumn(),
  ],
}

function validateSlice(slice: EndpointSlice): FieldError[] {
  const out: FieldError[] = []
  const types = ['FQDN', 'IPv4', 'IPv6']
  if (!slice.addressType) out.push(required('addressType'))
  else if (!types.includes(slice.addressType)) out.push(notSupported('addressType', slice.addressType, types))
  const endpoints = slice.endpoints ?? []
  if (endpoints.length > ENDPOINTS_MAX) return [...out, tooMany('endpoints', endpoints.length, ENDPOINTS_MAX)]
  for (const [i, endpoint] of endpoints.entries()) {
    const at = `endpoints[${i}]`
    const addresses = endpoint.addresses ?? []
    if (addresses.length === 0) out.push(required(`${at}.addresses`, 'must contain at least 1 address'))
    else if (addresses.length > ADDRESSES_MAX) out.push(tooMany(`${at}.addresses`, addresses.length, ADDRESSES_MAX))
    for (const [j, address] of addresses.entries()) {
      const field = `${at}.addresses[${j}]`
      if (slice.addressType === 'FQDN') out.push(...checkFullyQualified(field, address))
      else if (slice.addressType !== 'IPv4' && slice.addressType !== 'IPv6') continue
      else if (isIpAddress(address) && familyOf(address) !== slice.addressType) out.push(invalid(field, address, `must be an ${slice.addressType} address`))
      else out.push(...validateEndpointIp(field, address))
    }
    const topology = endpoint.deprecatedTopology ?? {}
    out.push(...checkLabels(`${at}.deprecatedTopology`, topology))
    if (Object.keys(topology).length > TOPOLOGY_MAX) out.push(tooMany(`${at}.deprecatedTopology`, Object.keys(topology).length, TOPOLOGY_MAX))
    if (endpoint.nodeName) out.push(...named(`${at}.nodeName`, endpoint.nodeName, checkDnsSubdomain))
    if (endpoint.hostname !== undefined) out.push(...named(`${at}.hostname`, endpoint.hostname, checkDnsLabel))
  }
  const ports = slice.ports ?? []
  if (ports.length > PORTS_MAX) return [...out, tooMany('ports', ports.length, PORTS_MAX)]
  const names = new Set<string>()
  for (const [i, port] of ports.entries()) {
    const name = port.name ?? ''
    if (name !== '') out.push(...named(`ports[${i}].name`, name, checkDnsLabel))
    if (names.has(name)) out.push(duplicate(`ports[${i}].name`, name))
    names.add(name)
    if (port.port !== undefined) out.push(...checkPortNumber(port.port).map((m) => invalid(`ports[${i}].port`, port.port, m)))
    out.push(...oneOf(`ports[${i}].protocol`, port.protocol, PROTOCOLS, 'required'))
    if (port.appProtocol) out.push(...named(`ports[${i}].appProtocol`, port.appProtocol, checkQualifiedName))
  }
  return out
}

/** At least two segments; the root's dot may end it. */
function checkFullyQualified(at: string, name: string): FieldError[] {
  if (name === '') return [required(at)]
  const bare = name.replace(/\.$/, '')
  const out = named(at, bare, checkDnsSubdomain)
  if (out.length > 0) return out
  return bare.includes('.') ? [] : [invalid(at, bare, 'should be a domain with at least two segments separated by dots')]
}
