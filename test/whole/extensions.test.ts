/** The real binary with an extension API server and admission webhooks beside it, used through kubectl. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { testAuthority, testCertificate } from '#server/apiserver/webhook-client/https-server.test-support.ts'
import { until } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import { OneHost } from './one-host.ts'

const PROGRAM = join(import.meta.dirname, 'extension-server.ts')
const PORT = 8443

const kubeconfig = (server: string, ca: string): string => JSON.stringify({
  clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': ca } }], users: [], contexts: [{ name: 'x', context: { cluster: 'c', user: '' } }], 'current-context': 'x',
})

describe('extensions', { timeout: 600_000 }, () => {
  let lab: OneHost
  let caBundle: string
  let program: ChildProcess

  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await lab.kubectl(args)
    assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout.trim()
  }
  const refused = async (...args: string[]): Promise<string> => {
    const { code, stderr } = await lab.kubectl(args)
    assert.notEqual(code, 0)
    return stderr.trim()
  }
  const apply = async (...objects: object[]): Promise<void> => {
    const { code, stderr } = await lab.kubectl(['create', '--validate=false', '-f', '-'], { input: objects.map((o) => JSON.stringify(o)).join('\n') })
    assert.equal(code, 0, stderr)
  }
  const start = async (): Promise<void> => {
    program = lab.host.start('extension', [process.execPath, PROGRAM, lab.host.ip, String(PORT), lab.path('extension')])
    await until('the extension server listens', 15_000, () => lab.host.log('extension').trimEnd().endsWith('serving'))
  }

  before(async () => {
    lab = await OneHost.create()
    const ca = await testAuthority()
    const { cert, key } = await testCertificate(ca, ['api.wardle.svc', 'hooks.wardle.svc'], [lab.host.ip])
    caBundle = Buffer.from(ca.pem).toString('base64')
    mkdirSync(lab.path('extension'))
    for (const what of ['token', 'access']) writeFileSync(lab.path(`${what}.kubeconfig`), kubeconfig(`https://${lab.host.ip}:${PORT}/webhook/${what}`, caBundle))
    lab.start('server', [...lab.serverFlags(), '--authentication-token-webhook-config-file', lab.path('token.kubeconfig'), '--authorization-mode', 'Node,RBAC,Webhook', '--authorization-webhook-config-file', lab.path('access.kubeconfig'), '--authorization-webhook-version', 'v1'])
    await lab.waitForApi()
    await until('extension servers are told whom to believe', 15_000, async () => (await lab.kubectl(['-n', 'kube-system', 'get', 'configmap', 'extension-apiserver-authentication'])).code === 0)
    const proxyCa = await kubectl('-n', 'kube-system', 'get', 'configmap', 'extension-apiserver-authentication', '-o', 'jsonpath={.data.requestheader-client-ca-file}')
    for (const [name, text] of [['tls.crt', cert], ['tls.key', key], ['front-proxy-ca.crt', `${proxyCa}\n`]] as const) writeFileSync(join(lab.path('extension'), name), text)
    await start()
    await kubectl('create', 'namespace', 'wardle')
    const service = (name: string) => [
      { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'wardle' }, spec: { ports: [{ name: 'https', port: 443, targetPort: PORT }] } },
      { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `${name}-1`, namespace: 'wardle', labels: { 'kubernetes.io/service-name': name } }, addressType: 'IPv4', endpoints: [{ addresses: [lab.host.ip] }], ports: [{ name: 'https', port: PORT }] },
    ]
    await apply(...service('api'), ...service('hooks'))
  })
  after(async () => { await lab.lab.destroy() })

  it('own group versions are registered as APIServices', async () => {
    await until('they are all there', 15_000, async () => (await lab.kubectl(['get', 'apiservice', 'v1.apps', 'v1.', 'v1.storage.k8s.io'])).code === 0)
    assert.match(await kubectl('get', 'apiservice', 'v1.apps', 'v1.'), /^NAME +SERVICE +AVAILABLE +AGE\nv1.apps +Local +True +\S+\nv1. +Local +True +\S+$/)
  })

  it('an API of another server is used as if it were one of ours', async () => {
    await apply({ apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: 'v1alpha1.wardle.example.com' }, spec: { group: 'wardle.example.com', version: 'v1alpha1', groupPriorityMinimum: 2000, versionPriority: 200, service: { namespace: 'wardle', name: 'api' }, caBundle } })
    await kubectl('wait', '--for=condition=Available', 'apiservice/v1alpha1.wardle.example.com', '--timeout=20s')
    assert.match(await kubectl('get', 'apiservice', 'v1alpha1.wardle.example.com', '--no-headers'), /^v1alpha1.wardle.example.com +wardle\/api +True +\S+$/)
    assert.equal(await kubectl('api-resources', '--api-group=wardle.example.com', '--no-headers').then((t) => t.replace(/ +/g, ' ')), 'flunders fl wardle.example.com/v1alpha1 true Flunder')
    await apply({ apiVersion: 'wardle.example.com/v1alpha1', kind: 'Flunder', metadata: { name: 'one', namespace: 'default' }, spec: { size: 3 } })
    assert.match(await kubectl('get', 'fl'), /^NAME +AGE\none +\S+$/)
    assert.deepStrictEqual(JSON.parse(await kubectl('get', 'flunder', 'one', '-o', 'jsonpath={.spec}')), { size: 3, madeBy: 'system:admin' })
    assert.equal(await refused('get', 'flunder', 'none'), 'Error from server (NotFound): flunders.wardle.example.com "none" not found')
    assert.match(await refused('--as=jane', 'get', 'flunders'), /Error from server \(Forbidden\): flunders.wardle.example.com is forbidden: User "jane" cannot list resource "flunders" in API group "wardle.example.com" in the namespace "default"/)
  })

  it('a watch streams through', async () => {
    const watching = lab.kubectl(['get', 'flunders', '--watch-only', '-o', 'name', '--request-timeout=4s'], { timeoutMs: 30_000 })
    await until('the watch is there', 15_000, () => /watch=true/.test(lab.host.log('extension')))
    await apply({ apiVersion: 'wardle.example.com/v1alpha1', kind: 'Flunder', metadata: { name: 'two', namespace: 'default' } })
    assert.match((await watching).stdout, /flunder.wardle.example.com\/two/)
    await kubectl('delete', 'flunder', 'two')
  })

  it('a server that is gone is told as such, and is back when it is back', async () => {
    program.kill('SIGKILL')
    const pids = lab.pids(/extension-server/)
    for (const pid of pids) kill(pid)
    await kubectl('patch', 'service', 'api', '-n', 'wardle', '-p', '{"metadata":{"labels":{"touched":"yes"}}}')
    await kubectl('wait', '--for=condition=Available=false', 'apiservice/v1alpha1.wardle.example.com', '--timeout=20s')
    assert.match(await kubectl('get', 'apiservice', 'v1alpha1.wardle.example.com', '--no-headers'), /False \(FailedDiscoveryCheck\)/)
    assert.match(await refused('get', '--raw', '/apis/wardle.example.com/v1alpha1/namespaces/default/flunders'), /the server is currently unable to handle the request/)
    await kubectl('get', 'configmaps')
    await start()
    await kubectl('wait', '--for=condition=Available', 'apiservice/v1alpha1.wardle.example.com', '--timeout=40s')
  })

  it('another server knows whose a token is, and what its owner may', async () => {
    const as = (token: string, ...args: string[]) => lab.host.run(['kubectl', '--kubeconfig', '/dev/null', '--cache-dir', lab.path('token-cache'), '--server', 'https://127.0.0.1:6443', '--insecure-skip-tls-verify', '--token', token, ...args])
    const who = await as('magic', 'auth', 'whoami', '-o', 'jsonpath={.status.userInfo}')
    assert.deepStrictEqual(JSON.parse(who.stdout), { username: 'ada', groups: ['readers', 'system:authenticated'] }, who.stderr)
    assert.equal((await as('magic', 'get', 'configmaps', '-n', 'kube-system')).code, 0)
    assert.match((await as('magic', 'get', 'secrets')).stderr, /User "ada" cannot list resource "secrets" in API group "" in the namespace "default": says the webhook/)
    assert.match((await as('guess', 'get', 'configmaps')).stderr, /You must be logged in to the server/)
  })

  it('webhooks by Service and by URL change and refuse', async () => {
    const hook = (name: string, path: string, client: object) => ({ name, rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }], clientConfig: { ...client, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'], namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } }, path: undefined })
    await apply(
      { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration', metadata: { name: 'm' }, webhooks: [hook('m.wardle.example.com', '', { service: { namespace: 'wardle', name: 'hooks', path: '/webhook/mutate' } })] },
      { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration', metadata: { name: 'v' }, webhooks: [hook('v.wardle.example.com', '', { url: `https://${lab.host.ip}:${PORT}/webhook/deny` })] },
    )
    await kubectl('create', 'configmap', 'good', '--from-literal=a=b')
    assert.deepStrictEqual(JSON.parse(await kubectl('get', 'configmap', 'good', '-o', 'jsonpath={.data}')), { a: 'b', seen: 'true' })
    assert.equal(await refused('create', 'configmap', 'bad', '--from-literal=deny=1'), 'error: failed to create configmap: admission webhook "v.wardle.example.com" denied the request: this may not be')
    await kubectl('-n', 'wardle', 'create', 'configmap', 'elsewhere', '--from-literal=deny=1')
    assert.match(await kubectl('get', 'validatingwebhookconfiguration', 'v', '--no-headers'), /^v +1 +\S+$/)
    for (const pid of lab.pids(/extension-server/)) kill(pid)
    assert.equal(await refused('create', 'configmap', 'late'), `error: failed to create configmap: Internal error occurred: failed calling webhook "m.wardle.example.com": failed to call webhook: Post "https://hooks.wardle.svc:443/webhook/mutate?timeout=10s": dial tcp ${lab.host.ip}:${PORT}: connect: connection refused`)
    await kubectl('delete', 'mutatingwebhookconfiguration', 'm')
    await kubectl('delete', 'validatingwebhookconfiguration', 'v')
    await kubectl('create', 'configmap', 'late')
  })
})
