/** What kube-apiserver 1.36.2 answered to objects that are not quite right: recorded there, asked here. */
import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { causes, cluster, pod, PODS } from './kinds.test-support.ts'

const NS = 'namespaces/default'
const post = async (path: string, body: object): Promise<string[]> => causes(await cluster().call('POST', path, { metadata: { name: 'a' }, ...body }))
const template = { metadata: { labels: { a: 'b' } }, spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } }
const job = (more: object) => ({ spec: { backoffLimit: 4, template, ...more } })
const JOBS = `/apis/batch/v1/${NS}/jobs`

test('jobs', async () => {
  const rules = [{ action: 'FailJob', onExitCodes: { operator: 'In' } }]
  deepStrictEqual([await post(JOBS, job({ completionMode: 'x' })), await post(JOBS, job({ completionMode: '' })), await post(JOBS, job({ podReplacementPolicy: '' })), await post(JOBS, job({ podFailurePolicy: { rules } }))], [
    ['spec.completionMode: Unsupported value: "x": supported values: "NonIndexed", "Indexed"'], ['spec.completionMode: Unsupported value: "": supported values: "NonIndexed", "Indexed"'],
    ['spec.podReplacementPolicy: Unsupported value: "": supported values: "Failed", "TerminatingOrFailed"'], ['spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: null: at least one value is required'],
  ])
  const cron = { spec: { schedule: '* * * * *', jobTemplate: job({ podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }] } }) } }
  deepStrictEqual(await post(`/apis/batch/v1/${NS}/cronjobs`, cron), ['201 '])
})

test('daemon sets and deployments', async () => {
  const spec = (more: object, of: object = {}) => ({ spec: { selector: { matchLabels: { a: 'b' } }, template: { ...template, spec: { containers: template.spec.containers, ...of } }, ...more } })
  const at = 'spec.updateStrategy.rollingUpdate'
  deepStrictEqual([await post(`/apis/apps/v1/${NS}/daemonsets`, spec({ updateStrategy: { rollingUpdate: { maxUnavailable: '150%' } } })), await post(`/apis/apps/v1/${NS}/daemonsets`, spec({ updateStrategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: '150%' } } })), await post(`/apis/apps/v1/${NS}/deployments`, spec({}, { activeDeadlineSeconds: 5 }))], [
    [`${at}.maxUnavailable: Invalid value: "150%": must not be greater than 100%`], [`${at}.maxSurge: Invalid value: "150%": must not be greater than 100%`], ['spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported'],
  ])
  const made = await cluster().call('POST', `/apis/apps/v1/${NS}/daemonsets?fieldManager=m`, { metadata: { name: 'a' }, ...spec({}) })
  const [owned] = (made.json['metadata']?.['managedFields'] ?? []) as unknown as { fieldsV1: Record<string, Record<string, unknown>> }[]
  deepStrictEqual([made.json['metadata']?.['annotations'], owned?.fieldsV1['f:metadata']], [{ 'deprecated.daemonset.template.generation': '1' }, { 'f:annotations': { '.': {}, 'f:deprecated.daemonset.template.generation': {} } }])
})

test('what may be empty is not what is left out', async () => {
  deepStrictEqual([
    await post(`/api/v1/${NS}/services`, { spec: { ports: [{ port: 80 }], internalTrafficPolicy: '' } }),
    await post(`/api/v1/${NS}/services`, { spec: { type: 'ExternalName', externalName: 'a.b', ipFamilyPolicy: '' } }),
    await post(`/apis/policy/v1/${NS}/poddisruptionbudgets`, { spec: { minAvailable: 1, selector: {}, unhealthyPodEvictionPolicy: '' } }),
    await post(`/apis/networking.k8s.io/v1/${NS}/networkpolicies`, { spec: { podSelector: {}, ingress: [{ ports: [{ protocol: '' }] }] } }),
    await post(`/apis/discovery.k8s.io/v1/${NS}/endpointslices`, { addressType: 'IPv4', endpoints: [], ports: [{ port: 80, protocol: '' }] }),
    causes(await cluster().call('POST', PODS, pod({}, {}, { securityContext: { procMount: '' } }))),
  ], [
    ['spec.internalTrafficPolicy: Unsupported value: "": supported values: "Cluster", "Local"'],
    ['spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services'],
    ['spec.unhealthyPodEvictionPolicy: Unsupported value: "": supported values: "AlwaysAllow", "IfHealthyBudget"'],
    ['spec.ingress[0].ports[0].protocol: Unsupported value: "": supported values: "TCP", "UDP", "SCTP"'],
    ['ports[0].protocol: Unsupported value: "": supported values: "SCTP", "TCP", "UDP"'],
    ['spec.containers[0].securityContext.procMount: Unsupported value: "": supported values: "Default", "Unmasked"'],
  ])
})

test('pods: certificates in volumes, fields of old versions, SELinux, grace', async () => {
  const certificate = (podCertificate: object) => post(PODS, pod({}, { volumes: [{ name: 'v', projected: { sources: [{ podCertificate }] } }] }))
  const at = 'spec.volumes[0].projected.sources[0].podCertificate'
  const good = { signerName: 'example.com/s', keyType: 'ED25519', credentialBundlePath: 'b' }
  deepStrictEqual([await certificate(good), await certificate({ ...good, keyType: 'x', maxExpirationSeconds: 5 }), await certificate({ ...good, credentialBundlePath: '' }), await certificate({ ...good, keyPath: 'b', userAnnotations: { a: 'b' } })], [
    ['201 '],
    [`${at}.keyType: Unsupported value: "x": supported values: "RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"`, `${at}.maxExpirationSeconds: Invalid value: 5: if provided, maxExpirationSeconds must be >= 3600`],
    [`${at}: Required value: specify at least one of credentialBundlePath, keyPath, and certificateChainPath`],
    [`${at}.userAnnotations: Invalid value: "a": must be a domain-prefixed key (such as "acme.io/foo")`, 'spec.volumes[0].projected: Invalid value: "b": conflicting duplicate paths'],
  ])
  const env = [{ name: 'A', valueFrom: { fieldRef: { apiVersion: 'v2', fieldPath: 'metadata.name' } } }]
  deepStrictEqual([await post(PODS, pod({}, {}, { env })), await post(PODS, pod({}, { securityContext: { seLinuxChangePolicy: 'MountOption' } }))], [
    ['spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2'], ['spec.securityContext.seLinuxChangePolicy: Unsupported value: "MountOption": supported values: "Recursive"'],
  ])
  const c = cluster()
  const made = await c.call('POST', PODS, pod({}, { terminationGracePeriodSeconds: -5 }, { image: 'a'.repeat(240) }))
  const spec = made.json['spec'] as unknown as { terminationGracePeriodSeconds: number; containers: { imagePullPolicy: string }[] }
  deepStrictEqual([spec.terminationGracePeriodSeconds, spec.containers[0]?.imagePullPolicy], [1, 'IfNotPresent'])
  const again = await c.call('PUT', `${PODS}/${String(made.json['metadata']?.['name'])}`, { ...made.json, spec: { ...made.json['spec'], terminationGracePeriodSeconds: -1 } })
  deepStrictEqual([again.status, again.json['spec']?.['terminationGracePeriodSeconds']], [200, 1])
})

test('one complaint that several rules have is said once', async () => {
  const answer = await cluster().call('POST', PODS, pod({}, {}, { resizePolicy: [{}] }))
  deepStrictEqual([answer.json['message'], causes(answer).length], ['Pod "p" is invalid: spec.containers[0].resizePolicy: Required value', 2])
})

test('warnings: certificates that are none, names as addresses, addresses with zeros', async () => {
  const warned = async (path: string, body: object): Promise<string> => (await cluster().call('POST', path, { metadata: { name: 'a' }, ...body })).headers['warning'] ?? ''
  const tls = (crt: string, key: string) => warned(`/api/v1/${NS}/secrets`, { type: 'kubernetes.io/tls', stringData: { 'tls.crt': crt, 'tls.key': key } })
  const block = (label: string) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`
  deepStrictEqual([await tls('x', 'y'), await tls(block('PRIVATE KEY'), 'y'), await tls(block('CERTIFICATE'), 'y'), await tls(block('CERTIFICATE'), block('CERTIFICATE'))], [
    '299 - "tls: failed to find any PEM data in certificate input"', '299 - "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"',
    '299 - "tls: failed to find any PEM data in key input"', '299 - "tls: found a certificate rather than a key in the PEM for the private key"',
  ])
  deepStrictEqual(await warned(`/apis/discovery.k8s.io/v1/${NS}/endpointslices`, { addressType: 'FQDN', endpoints: [{ addresses: ['a.b'] }] }), '299 - "spec.addressType: FQDN endpoints are deprecated"')
  deepStrictEqual((await warned(`/api/v1/${NS}/services`, { spec: { type: 'LoadBalancer', ports: [{ port: 80 }], loadBalancerIP: '010.0.0.1' } })), '299 - "spec.loadBalancerIP: non-standard IP address \\"010.0.0.1\\" is invalid: use \\"10.0.0.1\\""')
})

test('bodies that are for another object, options that say nothing, names that are still taken', async () => {
  const c = cluster()
  await c.create(PODS, pod({ finalizers: ['example.com/f'] }, { initContainers: [{ name: 'i', image: 'i' }], containers: [{ name: 'c', image: 'i' }, { name: 'd', image: 'i' }] }))
  const said = async (method: string, path: string, body?: object): Promise<string> => {
    const { status, json } = await c.call(method, path, body)
    return `${status} ${String(json['message'] ?? '')}`
  }
  deepStrictEqual([await said('POST', `${PODS}/p/binding`, { target: { kind: 'Node', name: 'n' } }), await said('POST', `${PODS}/p/eviction`, {}), await said('POST', `${PODS}?dryRun=`, pod({ name: 'q' })), await said('DELETE', `${PODS}/p?dryRun=All`, { apiVersion: 'meta.k8s.io/v1', kind: 'DeleteOptions' })], [
    '400 name in URL does not match name in Binding object', '400 name in URL does not match name in Eviction object', '422 CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: [""]: supported values: "All"', '200 ',
  ])
  await c.call('DELETE', `${PODS}/p`)
  deepStrictEqual(await said('POST', PODS, pod()), '409 object is being deleted: pods "p" already exists')
})

test('a new node says nothing of configuration by the API', async () => {
  const configMap = { namespace: 'n', name: 'c', kubeletConfigKey: 'k' }
  const made = await cluster().call('POST', '/api/v1/nodes', { metadata: { name: 'n' }, spec: { configSource: { configMap } }, status: { config: { assigned: { configMap } } } })
  deepStrictEqual([made.json['spec'], made.json['status']?.['config'], made.headers['warning']], [{}, undefined, undefined])
})
