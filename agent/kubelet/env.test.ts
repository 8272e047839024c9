import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Container, Service } from '#api/types/index.ts'
import { containerEnv, serviceEnv, type EnvInput } from './env.ts'
import { expandReferences } from './env-expand.ts'
import { fileResourceValue, formatMap, resourceFieldValue } from './field-ref.ts'
import { aContainer, aPod } from './testing/builders.ts'

const pod = aPod({ serviceAccountName: 'builder', containers: [aContainer('app', { resources: { limits: { cpu: '1500m' }, requests: { memory: '64Mi' } } })] }, { labels: { b: '2', a: 'x"y' }, annotations: { note: 'n' } })
const configMaps: Record<string, Record<string, string>> = { cm: { KEY: 'v', 'dotted.name': 'd', 'bad=name': 'x' } }

function env(container: Partial<Container>, more: Partial<EnvInput> = {}) {
  const result = containerEnv({
    pod, container: { ...pod.spec?.containers[0], name: 'app', ...container }, field: { pod, nodeName: 'n1', hostIps: ['192.168.7.1'], podIps: ['10.42.0.2', 'fd00::2'], allocatable: { cpu: '4', memory: '4Gi' } },
    configMap: (n) => (configMaps[n] ? { data: configMaps[n] } : undefined), secret: (n) => (n === 's' ? { data: { pw: Buffer.from('secret').toString('base64') } } : undefined), services: [], file: (volume, path) => ({ path: `/v/${volume}/${path}`, text: files[`${volume}/${path}`] }), ...more,
  })
  return result.ok ? Object.fromEntries(result.env.map((e) => [e.key, e.value])) : result.message
}
const files: Record<string, string> = { 'out/env': 'TOKEN=\'t $(A)\'\n', 'out/bad': 'TOKEN=t' }
const ofFile = (path: string, key: string, optional?: boolean) => ({ valueFrom: { fileKeyRef: { volumeName: 'out', path, key, ...(optional !== undefined && { optional }) } } })
const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } })
const resource = (r: string, divisor?: string) => ({ valueFrom: { resourceFieldRef: { resource: r, ...(divisor !== undefined && { divisor }) } } })

const table: [string, Partial<Container>, unknown][] = [
  ['plain values see those before them', { env: [{ name: 'A', value: '1' }, { name: 'B', value: '$(A)$(C)$$(A)' }, { name: 'C', value: '3' }] }, { A: '1', B: '1$(C)$(A)', C: '3' }],
  ['envFrom comes first and env wins', { envFrom: [{ configMapRef: { name: 'cm' }, prefix: 'P_' }], env: [{ name: 'P_KEY', value: 'mine' }] }, { P_KEY: 'mine', 'P_dotted.name': 'd' }],
  ['secrets are decoded', { envFrom: [{ secretRef: { name: 's' } }], env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'pw' } } }] }, { pw: 'secret', X: 'secret' }],
  ['a missing ConfigMap is named', { envFrom: [{ configMapRef: { name: 'none' } }] }, 'configmap "none" not found'],
  ['a missing Secret too', { env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 'none', key: 'a' } } }] }, 'secret "none" not found'],
  ['so is a missing key', { env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'gone' } } }] }, "couldn't find key gone in ConfigMap default/cm"],
  ['what is optional may be missing', { envFrom: [{ secretRef: { name: 'none', optional: true } }], env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'gone', optional: true } } }, { name: 'Y', valueFrom: { configMapKeyRef: { name: 'none', key: 'a', optional: true } } }] }, {}],
  ['values of files are as they stand', { env: [{ name: 'A', value: '1' }, { name: 'T', ...ofFile('env', 'TOKEN') }, { name: 'B', value: '<$(T)>' }, { name: 'N', ...ofFile('env', 'NONE', true) }] }, { A: '1', T: 't $(A)', B: '<t $(A)>' }],
  ['a file without the key is named', { env: [{ name: 'T', ...ofFile('env', 'NONE') }] }, 'environment variable key "NONE" not found in file "/v/out/env"'],
  ['one that is none, or is not there, whether it may be missing or not', { env: [{ name: 'T', ...ofFile('bad', 'TOKEN') }] }, 'couldn\'t parse env file'],
  ['... and', { env: [{ name: 'T', ...ofFile('none', 'TOKEN', true) }] }, 'couldn\'t parse env file'],
  ['fields of the pod', { env: [{ name: 'N', ...field('metadata.name') }, { name: 'U', ...field('metadata.uid') }, { name: 'L', ...field("metadata.labels['a']") }, { name: 'NO', ...field("metadata.annotations['none']") }, { name: 'NODE', ...field('spec.nodeName') }, { name: 'SA', ...field('spec.serviceAccountName') }, { name: 'IP', ...field('status.podIP') }, { name: 'IPS', ...field('status.podIPs') }, { name: 'H', ...field('status.hostIP') }] },
    { N: 'web', U: 'u1', L: 'x"y', NO: '', NODE: 'n1', SA: 'builder', IP: '10.42.0.2', IPS: '10.42.0.2,fd00::2', H: '192.168.7.1' }],
  ['an unknown field is refused', { env: [{ name: 'X', ...field('status.phase') }] }, 'unsupported fieldPath: status.phase'],
  ['resources round up; a limit not set is what the node has', { env: [{ name: 'C', ...resource('limits.cpu') }, { name: 'M', ...resource('limits.cpu', '1m') }, { name: 'R', ...resource('requests.memory', '1Mi') }, { name: 'A', ...resource('limits.memory', '1Gi') }, { name: 'Z', ...resource('requests.cpu') }] }, { C: '2', M: '1500', R: '64', A: '4', Z: '0' }],
]
for (const [name, container, expected] of table) test(name, () => assert.deepStrictEqual(env(container), expected))

test('Services are told as links: those of the namespace if wanted, the API always, headless never', () => {
  const service = (name: string, namespace: string, clusterIP: string, ports: object[]): Service => ({ metadata: { name, namespace }, spec: { clusterIP, ports: ports as never } })
  const services = [
    service('kubernetes', 'default', '10.43.0.1', [{ name: 'https', port: 443, protocol: 'TCP' }]), service('my-db', 'shop', '10.43.0.9', [{ port: 53, protocol: 'UDP' }, { name: 'admin-ui', port: 80 }]),
    service('headless', 'shop', 'None', [{ port: 1 }]), service('other', 'else', '10.43.0.8', [{ port: 1 }]),
  ]
  const api = { KUBERNETES_SERVICE_HOST: '10.43.0.1', KUBERNETES_SERVICE_PORT: '443', KUBERNETES_SERVICE_PORT_HTTPS: '443', KUBERNETES_PORT: 'tcp://10.43.0.1:443', KUBERNETES_PORT_443_TCP: 'tcp://10.43.0.1:443', KUBERNETES_PORT_443_TCP_PROTO: 'tcp', KUBERNETES_PORT_443_TCP_PORT: '443', KUBERNETES_PORT_443_TCP_ADDR: '10.43.0.1' }
  const of = (links: boolean) => Object.fromEntries(serviceEnv(services, 'shop', links).map((e) => [e.key, e.value]))
  assert.deepStrictEqual(of(false), api)
  assert.deepStrictEqual(of(true), {
    ...api, MY_DB_SERVICE_HOST: '10.43.0.9', MY_DB_SERVICE_PORT: '53', MY_DB_SERVICE_PORT_ADMIN_UI: '80', MY_DB_PORT: 'udp://10.43.0.9:53',
    MY_DB_PORT_53_UDP: 'udp://10.43.0.9:53', MY_DB_PORT_53_UDP_PROTO: 'udp', MY_DB_PORT_53_UDP_PORT: '53', MY_DB_PORT_53_UDP_ADDR: '10.43.0.9',
    MY_DB_PORT_80_TCP: 'tcp://10.43.0.9:80', MY_DB_PORT_80_TCP_PROTO: 'tcp', MY_DB_PORT_80_TCP_PORT: '80', MY_DB_PORT_80_TCP_ADDR: '10.43.0.9',
  })
})

test('references: upstream\'s corners', () => {
  const lookup = (n: string) => (n === 'A' ? 'a' : n === '' ? 'empty' : undefined)
  for (const [text, expected] of [['$(A)', 'a'], ['$$(A)', '$(A)'], ['$(B)', '$(B)'], ['$(A', '$(A'], ['$', '$'], ['$A', '$A'], ['$()', 'empty'], ['x$$$(A)y', 'x$ay'], ['$(A)$(A)', 'aa']] as const) assert.equal(expandReferences(text, lookup), expected, text)
})

test('text without a dollar sign is left as it is', () => {
  fc.assert(fc.property(fc.string(), (s) => {
    const text = s.replaceAll('$', '')
    assert.equal(expandReferences(text, () => 'never'), text)
  }))
})

test('labels in a file are sorted, one a line, quoted as Go does', () => assert.equal(formatMap(pod.metadata.labels), 'a="x\\"y"\nb="2"'))

test('what nobody sees of an annotation is written as its code, letters of all tongues are not', () => {
  assert.equal(formatMap({ a: 'é\u00a0\u0001\t\u200b日本\u{e0001}😀' }), 'a="é\\u00a0\\x01\\t\\u200b日本\\U000e0001😀"')
})

test('a limit that is not set is the pod\'s, else the node\'s; hugepages and init containers that others ask about have none', () => {
  const limited = aPod({ resources: { limits: { cpu: '2', memory: '1Gi' } }, containers: [aContainer('app', { resources: { limits: { cpu: '0' } } })], initContainers: [aContainer('first')] })
  const ctx = { pod: limited, nodeName: 'n1', hostIps: [], podIps: [], allocatable: { cpu: '4', memory: '4Gi', 'ephemeral-storage': '8Gi', 'hugepages-2Mi': '4Mi' } }
  const [app] = limited.spec?.containers ?? []
  const [first] = limited.spec?.initContainers ?? []
  const of = (resource: string, containerName?: string, own: Container = aContainer('other')) => resourceFieldValue({ resource, ...(containerName !== undefined && { containerName }) }, ctx, own)
  assert.deepStrictEqual([of('limits.cpu', undefined, app), of('limits.memory', 'app'), of('limits.ephemeral-storage', 'app'), of('limits.hugepages-2Mi', 'app')], ['2', '1073741824', '8589934592', '0'])
  assert.deepStrictEqual([of('limits.cpu', undefined, first), of('limits.cpu', 'first'), of('limits.cpu', 'none'), of('requests.cpu', 'app')], ['2', '0', undefined, '0'])
  const inFile = (resource: string, containerName: string) => fileResourceValue({ resource, containerName }, ctx)
  assert.deepStrictEqual([inFile('limits.cpu', 'app'), inFile('limits.cpu', 'first'), inFile('limits.hugepages-2Mi', 'app'), inFile('limits.cpu', 'none')], ['4', '4', '0', undefined])
})
