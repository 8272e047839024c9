import { deepStrictEqual, match } from 'node:assert'
import { test } from 'node:test'
import { cluster, MERGE, NS, pod, PODS, template } from './kinds.test-support.ts'

/** The texts of the `Warning` header. */
const warned = (headers: Record<string, string>): string[] => [...(headers['warning'] ?? '').matchAll(/299 - "((?:[^"\\]|\\.)*)"/g)].map((m) => (m[1] ?? '').replaceAll('\\"', '"'))
const from = async (path: string, body: unknown): Promise<string[]> => {
  const answer = await cluster().call('POST', path, body)
  return answer.status === 201 ? warned(answer.headers) : [`${answer.status} ${answer.text}`]
}

test('a pod that is not what its writer may think is taken with upstream\'s warnings', async () => {
  deepStrictEqual(await from(PODS, pod()), [])
  deepStrictEqual(await from(PODS, pod({ name: 'a.b' })), ["metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]"])
  deepStrictEqual(await from(PODS, pod({}, { nodeSelector: { 'beta.kubernetes.io/arch': 'arm64' }, imagePullSecrets: [{ name: 'a' }, { name: 'a' }, {}] })), [
    'spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead', 'spec.imagePullSecrets[1].name: duplicate name "a"', 'spec.imagePullSecrets[2].name: invalid empty name ""',
  ])
  deepStrictEqual(await from(PODS, pod({}, {}, { env: [{ name: 'A', value: '1' }, { name: 'A', value: '$(A)2' }, { name: 'A', value: '3' }], resources: { limits: { memory: '100m' } } })), [
    'spec.containers[0].resources.limits[memory]: fractional byte value "100m" is invalid, must be an integer', 'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
    'spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply',
  ])
  deepStrictEqual(await from(PODS, pod({}, {}, { ports: [{ containerPort: 80 }, { containerPort: 80 }, { containerPort: 80, hostPort: 1 }, { containerPort: 80, hostPort: 1, hostIP: '1.2.3.4' }] })), [
    'spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]', 'spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[0]', 'spec.containers[0].ports[2]: overlapping port definition with spec.containers[0].ports[1]',
    'spec.containers[0].ports[3]: overlapping port definition with spec.containers[0].ports[0]', 'spec.containers[0].ports[3]: overlapping port definition with spec.containers[0].ports[1]', 'spec.containers[0].ports[3]: dangerously ambiguous port definition with spec.containers[0].ports[2]',
  ])
})

test('files of a volume that hide each other, ports of one name and addresses that can be written otherwise are told', async () => {
  const items = (...paths: string[]) => paths.map((path) => ({ key: 'k', path }))
  const volumes = [
    { name: 'c', configMap: { name: 'cm', items: items('a', 'a/b', 'c', 'c/') } }, { name: 's', secret: { secretName: 'x', items: items('a', 'ab') } },
    { name: 'p', projected: { sources: [{ secret: { name: 'x', items: items('t/u') } }, { configMap: { name: 'y' } }, { serviceAccountToken: { path: 't' } }, { clusterTrustBundle: { name: 'b', path: 't/u/v' } }] } },
  ]
  deepStrictEqual(await from(PODS, pod({}, { volumes, serviceAccountName: 'default' }, { ports: [{ name: 'a', containerPort: 1 }] })), [
    'volume "c" (ConfigMap "cm"): overlapping paths: "a/b" with "a"', 'volume "c" (ConfigMap "cm"): overlapping paths: "c" with "c"',
    'volume "p" (Projected): overlapping paths: "t" (ServiceAccountToken) with "t/u" (Secret "x")',
    'volume "p" (Projected): overlapping paths: "t/u/v" (ClusterTrustBundle "b") with "t/u" (Secret "x")', 'volume "p" (Projected): overlapping paths: "t/u/v" (ClusterTrustBundle "b") with "t" (ServiceAccountToken)',
  ])
  const containers = ['a', 'b'].map((name, i) => ({ name, image: 'i', ports: [{ name: 'web', containerPort: 80 + i }] }))
  deepStrictEqual(await from(PODS, pod({}, { containers, dnsConfig: { nameservers: ['fd00:0::1'] }, hostAliases: [{ ip: '0::1' }] })), [
    'spec.containers[1].ports[0]: duplicate port name "web" with spec.containers[0].ports[0], services and probes that select ports by name will use spec.containers[0].ports[0]',
    'spec.dnsConfig.nameservers[0]: IPv6 address "fd00:0::1" should be in RFC 5952 canonical format ("fd00::1")', 'spec.hostAliases[0].ip: IPv6 address "0::1" should be in RFC 5952 canonical format ("::1")',
  ])
})

test('an annotation that says a container\'s AppArmor profile becomes its field, with a warning, unless the field or the pod says it already', async () => {
  const key = (name: string) => `container.apparmor.security.beta.kubernetes.io/${name}`
  const text = (name: string) => `metadata.annotations[${key(name)}]: deprecated since v1.30; use the "appArmorProfile" field instead`
  const of = async (spec: Record<string, unknown>, profiles: Record<string, string>, ...names: string[]) => {
    const annotations = Object.fromEntries(Object.entries(profiles).map(([name, profile]) => [key(name), profile]))
    const answer = await cluster().call('POST', PODS, pod({ annotations }, { ...spec, containers: names.map((name) => ({ name, image: 'i', ...(name === 'own' && { securityContext: { appArmorProfile: { type: 'Unconfined' } } }) })) }))
    const { containers } = (answer.json as unknown as { spec: { containers: { securityContext?: { appArmorProfile?: unknown } }[] } }).spec
    return { status: answer.status, warnings: warned(answer.headers), profiles: containers.map((c) => c.securityContext?.appArmorProfile) }
  }
  deepStrictEqual(await of({}, { a: 'unconfined', b: 'runtime/default', c: 'localhost/mine', own: 'unconfined', e: '' }, 'a', 'b', 'c', 'own', 'e', 'f'), {
    status: 201, warnings: [text('a'), text('b'), text('c'), text('e')],
    profiles: [{ type: 'Unconfined' }, { type: 'RuntimeDefault' }, { type: 'Localhost', localhostProfile: 'mine' }, { type: 'Unconfined' }, undefined, undefined],
  })
  deepStrictEqual(await of({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }, { a: 'runtime/default' }, 'a'), { status: 201, warnings: [], profiles: [undefined] })
  deepStrictEqual(await of({ os: { name: 'windows' } }, { a: 'unconfined' }, 'a'), { status: 201, warnings: [], profiles: [undefined] })
})

test('templates are warned of where they stand, and again only when they change', async () => {
  const c = cluster()
  const spec = { selector: { matchLabels: { app: 'a' } }, template: template({}, { nodeSelector: { 'beta.kubernetes.io/os': 'linux' } }) }
  Object.assign(spec.template['metadata'] as object, { labels: { app: 'a' } })
  const path = '/apis/apps/v1/namespaces/default/deployments'
  const text = 'spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
  deepStrictEqual(warned((await c.create(path, { metadata: { name: 'd' }, spec })).headers), [text])
  deepStrictEqual(warned((await c.call('PATCH', `${path}/d`, { spec: { replicas: 2 } }, MERGE)).headers), [])
  deepStrictEqual(warned((await c.call('PATCH', `${path}/d`, { spec: { template: { metadata: { labels: { b: 'c' } } } } }, MERGE)).headers), [text])
})

test('Services, volumes, ingresses and old versions warn too', async () => {
  const ports = [{ port: 80 }]
  deepStrictEqual(await from(`${NS}/services`, { metadata: { name: 's' }, spec: { ports, externalIPs: ['1.2.3.4'], externalName: 'x.y' } }), ['spec.externalIPs is deprecated and may no longer be implemented in some clusters', 'spec.externalName is ignored when spec.type is not "ExternalName"'])
  deepStrictEqual(await from(`${NS}/services`, { metadata: { name: 's' }, spec: { ports, trafficDistribution: 'PreferClose' } }), ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"'])
  deepStrictEqual(await from('/api/v1/persistentvolumes', { metadata: { name: 'v' }, spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' }, persistentVolumeReclaimPolicy: 'Recycle' } }), ['spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.'])
  deepStrictEqual(await from('/apis/networking.k8s.io/v1/namespaces/default/ingresses', { metadata: { name: 'i', annotations: { 'kubernetes.io/ingress.class': 'x' } }, spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } } } }), ["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"])
  const c = cluster()
  deepStrictEqual(warned((await c.call('GET', '/apis/storage.k8s.io/v1beta1/volumeattributesclasses')).headers), ['storage.k8s.io/v1beta1 VolumeAttributesClass is deprecated in v1.34+, unavailable in v1.37+; use storage.k8s.io/v1 VolumeAttributesClass'])
  match((await c.call('GET', '/metrics')).text, /^apiserver_requested_deprecated_apis\{group="storage.k8s.io",removed_release="1.37",resource="volumeattributesclasses",subresource="",version="v1beta1"\} 1$/m)
})
