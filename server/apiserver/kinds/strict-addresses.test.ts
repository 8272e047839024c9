/** Addresses and names as 1.36 wants them, and what an update may leave (StrictIPCIDRValidation, RelaxedServiceNameValidation). */
import { deepStrictEqual } from 'node:assert'
import { describe, test } from 'node:test'
import { validateEndpointIp, validCidr, validIp } from './endpoint-ip.ts'
import { causes, cluster, MERGE, NS, template } from './kinds.test-support.ts'

const detail = (errors: readonly { message: string }[]): string[] => errors.map(({ message }) => message.replace(/^Invalid value: "[^"]*": /, ''))

describe('addresses', () => {
  const IPS: [string, string[]][] = [
    ['10.9.8.7', []], ['2001:db8::ffff', []], ['2001:DB8::1', []],
    ['010.9.8.7', ['must not have leading 0s']], ['2001:0db8::00001', ['must not have leading 0s']],
    ['::ffff:1.2.3.4', ['must not be an IPv4-mapped IPv6 address']],
    ...['', 'x', '1.2.3', '256.1.1.1', 'fe80::1%eth0'].map((ip): [string, string[]] => [ip, ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']]),
  ]
  for (const [ip, wrong] of IPS) test(`the address ${JSON.stringify(ip)}`, () => deepStrictEqual(detail(validIp('f', ip)), wrong))
  const CIDRS: [string, string[]][] = [
    ['10.0.0.0/8', []], ['2001:db8::/64', []], ['10.1.2.3/32', []], ['10.1.2.3/8', ['must not have bits set beyond the prefix length']], ['2001:db8::1/64', ['must not have bits set beyond the prefix length']],
    ['010.0.0.0/8', ['must not have leading 0s in IP or prefix length']], ['10.0.0.0/08', ['must not have leading 0s in IP or prefix length']], ['::ffff:10.0.0.0/104', ['must not have an IPv4-mapped IPv6 address']],
    ...['10.0.0.0', '10.0.0.0/33', '10.0.0.0/8/8'].map((cidr): [string, string[]] => [cidr, ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)']]),
  ]
  for (const [cidr, wrong] of CIDRS) test(`the network ${JSON.stringify(cidr)}`, () => deepStrictEqual(detail(validCidr('f', cidr)), wrong))
  test('what was there may stay', () => deepStrictEqual([validIp('f', '010.9.8.7', ['010.9.8.7']), validCidr('f', '10.1.2.3/8', ['10.1.2.3/8'])], [[], []]))
  test('addresses that lead nowhere', () => {
    deepStrictEqual(['0.0.0.0', '127.0.0.1', '0127.0.0.1', '::ffff:127.0.0.1', '169.254.1.1', 'fe80::1', '224.0.0.5', 'ff02::1', '10.0.0.1'].map((ip) => validateEndpointIp('f', ip).length), [1, 1, 1, 1, 1, 1, 1, 1, 0])
  })
})

const SLICES = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices'

test('slices: ports first, IPv6 in its canonical form, the family told of the whole list, hints looked at', async () => {
  const c = cluster()
  const made = await c.call('POST', SLICES, { metadata: { name: 'a' }, addressType: 'IPv6', ports: [{ name: 'A', port: 70000 }], endpoints: [{ addresses: ['2001:DB8::1', '10.0.0.1'], hints: { forZones: [{ name: 'z' }, { name: 'z' }], forNodes: [{ name: 'N' }] } }] })
  deepStrictEqual(causes(made).map((cause) => cause.replace(/(RFC 1123 \w+).*/, '$1')), [
    'ports[0].name: Invalid value: "A": a lowercase RFC 1123 label', 'endpoints[0].addresses[0]: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")',
    'endpoints[0].addresses: Invalid value: "10.0.0.1": must be an IPv6 address', 'endpoints[0].hints.forZones[1].name: Duplicate value: "z"', 'endpoints[0].hints.forNodes[0].name: Invalid value: "N": a lowercase RFC 1123 subdomain',
  ])
})

test('Services may begin with a digit, and so may what an Ingress sends to', async () => {
  const c = cluster()
  deepStrictEqual((await c.call('POST', `${NS}/services`, { metadata: { name: '1a' }, spec: { ports: [{ port: 80 }] } })).status, 201)
  const ingress = (name: string, spec: object, annotations: Record<string, string> = {}) => c.call('POST', '/apis/networking.k8s.io/v1/namespaces/default/ingresses', { metadata: { name, annotations }, spec })
  const defaultBackend = { service: { name: '1a', port: { number: 80 } } }
  deepStrictEqual((await ingress('a', { ingressClassName: 'x', defaultBackend }, { 'kubernetes.io/ingress.class': 'x' })).status, 201)
  deepStrictEqual(causes(await ingress('b', { ingressClassName: 'x', defaultBackend }, { 'kubernetes.io/ingress.class': 'y' })), ['annotations.kubernetes.io/ingress.class: Invalid value: "y": must match `ingressClassName` when both are specified'])
  deepStrictEqual(causes(await ingress('c', {})), ['spec: Invalid value: null: either `defaultBackend` or `rules` must be specified'])
  deepStrictEqual(causes(await ingress('d', { defaultBackend: { resource: { kind: '', name: '' } } })), ['spec.defaultBackend.resource.kind: Required value', 'spec.defaultBackend.resource.name: Required value'])
})

const SETS = '/apis/apps/v1/namespaces/default/statefulsets'

test('stateful sets: names are labels, claims are looked at, the pods\' own names are not, and counts fit', async () => {
  const c = cluster()
  const set = (name: string, spec: object = {}, pod: Record<string, unknown> = {}) => ({ metadata: { name }, spec: { selector: { matchLabels: { app: 'a' } }, template: template({ app: 'a' }, pod), ...spec } })
  deepStrictEqual(causes(await c.call('POST', SETS, set('a.b', { serviceName: 'x.y', volumeClaimTemplates: [{ metadata: { name: 'v' }, spec: { resources: { requests: { storage: '1Gi' } } } }] }))).map((cause) => cause.replace(/(RFC 1123 \w+).*/, '$1')), [
    'metadata.name: Invalid value: "a.b": must not contain dots', 'spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is required', 'spec.serviceName: Invalid value: "x.y": must not contain dots',
  ])
  await c.create(SETS, set('a', {}, { hostname: 'NOT a name', subdomain: '-' }))
  deepStrictEqual(causes(await c.call('PATCH', `${SETS}/a/status`, { status: { replicas: 1, currentReplicas: 2, updatedReplicas: 2, availableReplicas: 1 } }, MERGE)), [
    'status.currentReplicas: Invalid value: 2: cannot be greater than status.replicas', 'status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas', 'status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas',
  ])
  const revision = (data: unknown) => c.call('POST', '/apis/apps/v1/namespaces/default/controllerrevisions', { metadata: { name: 'r' }, revision: 1, data })
  deepStrictEqual([causes(await revision(undefined)), causes(await revision([1]))], [['data: Required value: data is mandatory'], ['data: Required value: data must be a valid JSON object']])
})
