/** Endpoints and EndpointSlices: addresses behind Services. */
import type { Endpoints, EndpointSlice } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkLabelValue, checkPortNumber, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required, tooMany } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { immutable, named, oneOf } from './check.ts'
import { validateEndpointIp, validIp } from './endpoint-ip.ts'
import { ipWarnings } from './ip-warnings.ts'
import { canonicalIp, familyOf } from './ip.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, listWithMore, nameColumn } from './table-columns.ts'

const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const ENDPOINTS_MAX = 1000
const ADDRESSES_MAX = 100
const PORTS_MAX = 20_000
const HINTS_MAX = 8

export const endpointsStrategy: KindStrategy<Endpoints> = {
  generation: false,
  defaults(endpoints) {
    for (const subset of endpoints.subsets ?? []) for (const port of subset.ports ?? []) port.protocol ||= 'TCP'
  },
  validate: (endpoints) => validateEndpoints(endpoints),
  // What is as it was is not looked at: older rules let it in.
  validateUpdate: (endpoints, old) => (semanticEqual(endpoints.subsets, old.subsets) ? [] : validateEndpoints(endpoints)),
  columns: [nameColumn(), column('Endpoints', 'The set of all endpoints is the union of all subsets.', endpointsText), ageColumn()],
}

function validateEndpoints(endpoints: Endpoints): FieldError[] {
  return (endpoints.subsets ?? []).flatMap((subset, i) => {
    const at = `subsets[${i}]`
    const out: FieldError[] = []
    if ((subset.addresses ?? []).length === 0 && (subset.notReadyAddresses ?? []).length === 0) out.push(required(at, 'must specify `addresses` or `notReadyAddresses`'))
    for (const list of ['addresses', 'notReadyAddresses'] as const) {
      for (const [j, address] of (subset[list] ?? []).entries()) {
        out.push(...validIp(`${at}.${list}[${j}].ip`, address.ip))
        if (address.hostname) out.push(...named(`${at}.${list}[${j}].hostname`, address.hostname, checkDnsLabel))
        if (address.nodeName) out.push(...named(`${at}.${list}[${j}].nodeName`, address.nodeName, checkDnsSubdomain))
        out.push(...validateEndpointIp(`${at}.${list}[${j}].ip`, address.ip))
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
      port.protocol ??= 'TCP'
    }
  },
  prepareCreate: dropTopology,
  prepareUpdate: dropTopology,
  // Upstream counts a change of labels too: they say which Service the slice belongs to.
  generation: (slice, old) => JSON.stringify([slice.endpoints, slice.ports, slice.metadata?.labels]) !== JSON.stringify([old.endpoints, old.ports, old.metadata?.labels]),
  validate: (slice) => validateSlice(slice),
  validateUpdate: (slice, old) => [...validateSlice(slice, old), ...immutable('addressType', slice.addressType, old.addressType)],
  warnings: (slice, old) => [
    ...(slice.addressType === 'FQDN' && !old ? ['spec.addressType: FQDN endpoints are deprecated'] : []),
    ...(slice.endpoints ?? []).flatMap((endpoint, i) => (endpoint.addresses ?? []).flatMap((ip, j) => ipWarnings(`endpoints[${i}].addresses[${j}]`, ip))),
  ],
  columns: [
    nameColumn(),
    column('AddressType', 'addressType specifies the type of address carried by this EndpointSlice.', (o) => o.addressType),
    column('Ports', 'ports specifies the list of network ports exposed by each endpoint in this slice.', (o) => listWithMore((o.ports ?? []).map((p) => (p.port !== undefined ? String(p.port) : (p.name ?? '*'))), '<unset>')),
    column('Endpoints', 'endpoints is a list of unique endpoints in this slice.', (o) => listWithMore((o.endpoints ?? []).flatMap((e) => e.addresses), '<unset>')),
    ageColumn(),
  ],
}

/** What v1beta1 said of a node. */
function dropTopology(slice: EndpointSlice): void {
  for (const endpoint of slice.endpoints ?? []) delete endpoint.deprecatedTopology
}

function validateSlice(slice: EndpointSlice, old?: EndpointSlice): FieldError[] {
  const types = ['FQDN', 'IPv4', 'IPv6']
  const type: FieldError[] = !slice.addressType ? [required('addressType')] : types.includes(slice.addressType) ? [] : [notSupported('addressType', slice.addressType, types)]
  const same = old !== undefined && semanticEqual(slice.endpoints, old.endpoints)
  return [...type, ...validatePorts(slice.ports ?? []), ...(same ? [] : validateSliceEndpoints(slice))]
}

function validateSliceEndpoints({ addressType, endpoints = [] }: EndpointSlice): FieldError[] {
  if (endpoints.length > ENDPOINTS_MAX) return [tooMany('endpoints', endpoints.length, ENDPOINTS_MAX)]
  return endpoints.flatMap((endpoint, i) => {
    const at = `endpoints[${i}]`
    const addresses = endpoint.addresses ?? []
    const out: FieldError[] = []
    if (addresses.length === 0) out.push(required(`${at}.addresses`, 'must contain at least 1 address'))
    else if (addresses.length > ADDRESSES_MAX) out.push(tooMany(`${at}.addresses`, addresses.length, ADDRESSES_MAX))
    for (const [j, address] of addresses.entries()) {
      if (addressType === 'FQDN') out.push(...checkFullyQualified(`${at}.addresses[${j}]`, address))
      else if (addressType === 'IPv4' || addressType === 'IPv6') out.push(...validateAddress(`${at}.addresses`, j, address, addressType))
    }
    if (endpoint.nodeName !== undefined) out.push(...named(`${at}.nodeName`, endpoint.nodeName, checkDnsSubdomain))
    if (endpoint.hostname !== undefined) out.push(...named(`${at}.hostname`, endpoint.hostname, checkDnsLabel))
    const { forZones = [], forNodes = [] } = endpoint.hints ?? {}
    const zones = validateHints(`${at}.hints.forZones`, forZones, checkLabelValue)
    return [...out, ...zones, ...(forZones.length > HINTS_MAX ? [] : validateHints(`${at}.hints.forNodes`, forNodes, checkDnsSubdomain))]
  })
}

/** IPv6 came with its canonical form, IPv4 before. */
function validateAddress(at: string, i: number, address: string, type: 'IPv4' | 'IPv6'): FieldError[] {
  const here = `${at}[${i}]`
  const wrong = validIp(here, address)
  if (wrong.length > 0) return wrong
  const canonical = canonicalIp(address)
  if (type === 'IPv6' && canonical !== address) return [invalid(here, address, `must be in canonical form (${JSON.stringify(canonical)})`)]
  return [...(familyOf(address) === type ? [] : [invalid(at, address, `must be an ${type} address`)]), ...validateEndpointIp(here, address)]
}

function validateHints(at: string, hints: readonly { name: string }[], check: (name: string) => string[]): FieldError[] {
  if (hints.length > HINTS_MAX) return [tooMany(at, hints.length, HINTS_MAX)]
  const names = hints.map(({ name }) => name)
  return names.flatMap((name, i) => [...(names.indexOf(name) < i ? [duplicate(`${at}[${i}].name`, name)] : []), ...named(`${at}[${i}].name`, name, check)])
}

/** Numbers are not looked at. */
function validatePorts(ports: NonNullable<EndpointSlice['ports']>): FieldError[] {
  if (ports.length > PORTS_MAX) return [tooMany('ports', ports.length, PORTS_MAX)]
  const names = new Set<string>()
  return ports.flatMap((port, i) => {
    const name = port.name ?? ''
    const out = name === '' ? [] : named(`ports[${i}].name`, name, checkDnsLabel)
    if (names.has(name)) out.push(duplicate(`ports[${i}].name`, name))
    names.add(name)
    out.push(...oneOf(`ports[${i}].protocol`, port.protocol, PROTOCOLS, 'given'))
    if (port.appProtocol !== undefined) out.push(...named(`ports[${i}].appProtocol`, port.appProtocol, checkQualifiedName))
    return out
  })
}

/** At least two segments; the root's dot may end it. */
function checkFullyQualified(at: string, name: string): FieldError[] {
  if (name === '') return [required(at)]
  const bare = name.replace(/\.$/, '')
  const out = named(at, bare, checkDnsSubdomain)
  if (out.length > 0) return out
  return bare.includes('.') ? [] : [invalid(at, bare, 'should be a domain with at least two segments separated by dots')]
}
