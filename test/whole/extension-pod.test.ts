/**
 * Webhooks and an extension API in a pod of another machine, which the server reaches by nothing but the agent's own tunnel: the
 * server has no node, so it is not in the pod network.
 */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { testAuthority, testCertificate } from '#server/apiserver/webhook-client/https-server.test-support.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const PROGRAM = join(import.meta.dirname, 'extension-server.ts')
const PORT = 8443
const NODE_READY = ['wait', '--for=condition=Ready', 'node/h2', '--timeout=60s']

describe('extensions in a pod', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let node: LabHost
  let caBundle: string
  const apply = (...objects: object[]) => cluster.must(['create', '--validate=false', '-f', '-'], { input: objects.map((o) => JSON.stringify(o)).join('\n') })

  before(async () => {
    cluster = await Cluster.create({ hosts: 2, serverFlags: ['--disable-agent'], waitForNodes: false })
    node = cluster.lab.hosts[1] as LabHost
    await until('the node is known', 60_000, async () => (await cluster.kubectl(['get', 'node', 'h2'])).code === 0)
    await cluster.must(NODE_READY, { timeoutMs: 70_000 })
    const ca = await testAuthority()
    caBundle = Buffer.from(ca.pem).toString('base64')
    const { cert, key } = await testCertificate(ca, ['extension.default.svc'], [])
    const proxyCa = await cluster.must(['-n', 'kube-system', 'get', 'configmap', 'extension-apiserver-authentication', '-o', 'jsonpath={.data.requestheader-client-ca-file}'])
    const directory = join(node.dir, 'extension')
    mkdirSync(directory)
    for (const [name, text] of [['tls.crt', cert], ['tls.key', key], ['front-proxy-ca.crt', proxyCa]] as const) writeFileSync(join(directory, name), text)
    node.start('extension', [process.execPath, PROGRAM, node.ip, String(PORT), directory])
    await until('the extension server listens', 15_000, () => node.log('extension').includes('serving'))
    // The image has no TLS server: the pod passes bytes on to one on its machine.
    await apply(
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'extension', labels: { app: 'extension' } }, spec: { containers: [{ name: 'relay', image: 'busybox:1', command: ['nc', '-ll', '-p', '7443', '-e', 'nc', node.ip, String(PORT)] }] } },
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'extension' }, spec: { selector: { app: 'extension' }, ports: [{ port: 443, targetPort: 7443 }] } },
    )
    await cluster.must(['wait', '--for=condition=Ready', 'pod/extension', '--timeout=60s'], { timeoutMs: 70_000 })
  })
  after(async () => { await cluster.destroy() })

  it('a webhook in a pod is called through its node\'s tunnel', async () => {
    await until('the endpoint is ready', 20_000, async () => (await cluster.must(['get', 'endpointslices', '-l', 'kubernetes.io/service-name=extension', '-o', 'jsonpath={.items[*].endpoints[*].conditions.ready}'])) === 'true')
    await apply({ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration', metadata: { name: 'm' }, webhooks: [{
      name: 'm.wardle.example.com', rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }], clientConfig: { service: { namespace: 'default', name: 'extension', path: '/webhook/mutate' }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'],
    }] })
    await cluster.must(['create', 'configmap', 'seen'])
    assert.equal(await cluster.must(['get', 'configmap', 'seen', '-o', 'jsonpath={.data.seen}']), 'true')
    await cluster.must(['delete', 'mutatingwebhookconfiguration', 'm'])
  })

  it('a webhook may refuse to let people into a pod', async () => {
    await apply({ apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration', metadata: { name: 'v' }, webhooks: [{
      name: 'v.wardle.example.com', rules: [{ operations: ['CONNECT'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods/exec', 'pods/attach'] }], clientConfig: { service: { namespace: 'default', name: 'extension', path: '/webhook/deny' }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'],
    }] })
    for (const args of [['exec', 'extension', '--', 'true'], ['attach', 'extension']]) {
      const { code, stderr } = await cluster.kubectl(args)
      assert.deepStrictEqual([code, /admission webhook "v.wardle.example.com" denied the request: this may not be/.test(stderr)], [1, true], stderr)
    }
    await cluster.must(['delete', 'validatingwebhookconfiguration', 'v'])
    await cluster.must(['exec', 'extension', '--', 'true'])
  })

  it('an extension API in a pod is, too', async () => {
    await apply({ apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: 'v1alpha1.wardle.example.com' }, spec: { group: 'wardle.example.com', version: 'v1alpha1', groupPriorityMinimum: 2000, versionPriority: 200, service: { namespace: 'default', name: 'extension' }, caBundle } })
    await cluster.must(['wait', '--for=condition=Available', 'apiservice/v1alpha1.wardle.example.com', '--timeout=20s'])
    await apply({ apiVersion: 'wardle.example.com/v1alpha1', kind: 'Flunder', metadata: { name: 'one', namespace: 'default' } })
    assert.equal(await cluster.must(['get', 'flunders', '-o', 'name']), 'flunder.wardle.example.com/one\n')
    await cluster.must(['delete', 'pod', 'extension', '--grace-period=0', '--force'])
    await until('the API is not available without its pod', 20_000, async () => /False \(MissingEndpoints\)|False \(EndpointsNotFound\)|False \(FailedDiscoveryCheck\)/.test(await cluster.must(['get', 'apiservice', 'v1alpha1.wardle.example.com'])))
  })
})
