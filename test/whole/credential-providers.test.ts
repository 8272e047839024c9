/** Programs on a node that turn tokens of pods' service accounts into credentials for a registry (tokenAttributes, KEP-4412), with a registry that holds the tokens against the cluster's keys. */
import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { REGISTRY_PORT, SWITCH_IP } from '../lab/lab.ts'

const V1 = 'credentialprovider.kubelet.k8s.io/v1'
const AUDIENCE = 'registry.example'
const FIXED = 'a-password-of-the-registry'
/** By its port the kubelet tells which provider is asked. */
const PORTS = { token: 5101, account: 5102, careless: 5103 }
const ROLE = 'registry.example/role'

/** What it was asked goes into a file, the token as its claims; the registry's port is answered for. */
const program = (asked: string) => `#!${process.execPath}
const { readFileSync, appendFileSync } = require('node:fs')
const request = JSON.parse(readFileSync(0, 'utf8'))
const { serviceAccountToken, ...rest } = request
const { aud, sub, 'kubernetes.io': k } = JSON.parse(Buffer.from(serviceAccountToken.split('.')[1], 'base64url'))
appendFileSync(${JSON.stringify(asked)}, JSON.stringify({ ...rest, as: process.argv[2], token: { aud, sub, pod: k.pod.name } }) + '\\n')
const auth = process.argv[2] === 'account' ? { username: 'fixed', password: ${JSON.stringify(FIXED)} } : { username: 'token', password: serviceAccountToken }
console.log(JSON.stringify({ kind: 'CredentialProviderResponse', apiVersion: request.apiVersion, cacheKeyType: 'Registry', cacheDuration: '1h', auth: { [request.image.split('/')[0]]: auth } }))
`

const provider = (name: keyof typeof PORTS, cacheType: 'Token' | 'ServiceAccount') => ({
  name, apiVersion: V1, args: [name], matchImages: [`127.0.0.1:${PORTS[name]}`], defaultCacheDuration: '1h',
  tokenAttributes: { serviceAccountTokenAudience: AUDIENCE, cacheType, requireServiceAccount: true, requiredServiceAccountAnnotationKeys: [ROLE], optionalServiceAccountAnnotationKeys: ['note'] },
})

describe('credential providers with tokens of service accounts', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const node = (): LabHost => {
    const [host] = cluster.lab.hosts
    if (!host) throw new Error('the lab has no host')
    return host
  }
  const asked = (host: LabHost) => join(host.dir, 'asked')
  const requests = (name: string): unknown[] => (existsSync(asked(node())) ? readFileSync(asked(node()), 'utf8').trimEnd().split('\n') : []).map((line) => JSON.parse(line) as { as: string }).filter((r) => r.as === name)
  const lets = (name: keyof typeof PORTS): string[] => [...new Set(node().log(`registry-${name}`).split('\n').filter((l) => l.includes('/blobs/') || l.includes('/manifests/')).map((l) => l.split(' ')[0] ?? ''))]
  const apply = (...objects: object[]) => cluster.must(['apply', '-f', '-'], { input: objects.map((o) => JSON.stringify(o)).join('\n') })
  const account = (name: string, annotations?: Record<string, string>) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, ...(annotations && { annotations }) } })
  const pod = (name: string, serviceAccountName: string, port: number, imagePullPolicy = 'Always') => ({
    apiVersion: 'v1', kind: 'Pod', metadata: { name },
    spec: { serviceAccountName, terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: `127.0.0.1:${port}/library/busybox:1`, imagePullPolicy, command: ['sleep', '3600'] }] },
  })
  const ready = (...names: string[]) => cluster.must(['wait', '--for=condition=Ready', '--timeout=90s', ...names.map((n) => `pod/${n}`)], { timeoutMs: 100_000 })
  const failure = async (name: string) => (await cluster.must(['get', 'events', '--field-selector', `involvedObject.name=${name},reason=Failed`, '-o', 'jsonpath={.items[*].message}'])).trim()

  before(async () => {
    cluster = await Cluster.create({
      hosts: 1,
      prepare: (host) => {
        const bin = join(host.dir, 'providers')
        mkdirSync(bin)
        for (const name of Object.keys(PORTS)) {
          writeFileSync(join(bin, name), program(asked(host)))
          chmodSync(join(bin, name), 0o755)
        }
        writeFileSync(join(host.dir, 'providers.yaml'), JSON.stringify({ kind: 'CredentialProviderConfig', apiVersion: 'kubelet.config.k8s.io/v1', providers: [provider('token', 'Token'), provider('account', 'ServiceAccount'), provider('careless', 'ServiceAccount')] }))
        return Promise.resolve(['--image-credential-provider-config', join(host.dir, 'providers.yaml'), '--image-credential-provider-bin-dir', bin])
      },
    })
    const jwks = join(node().dir, 'jwks')
    writeFileSync(jwks, await cluster.must(['get', '--raw', '/openid/v1/jwks']))
    for (const [name, port] of Object.entries(PORTS)) {
      node().start(`registry-${name}`, [process.execPath, join(import.meta.dirname, 'private-registry.ts'), String(port), `http://${SWITCH_IP}:${REGISTRY_PORT}`, jwks, AUDIENCE, FIXED])
      await until(`the registry on port ${port} listens`, 30_000, () => node().log(`registry-${name}`).includes('listening'))
    }
    // As upstream: nodes get tokens for an audience that no pod of theirs mounts only where they are let.
    await apply(
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'registry-tokens' }, rules: [{ apiGroups: [''], resources: [AUDIENCE], verbs: ['request-serviceaccounts-token-audience'] }] },
      { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'registry-tokens' }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'registry-tokens' }, subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }] },
    )
    await apply(account('shop', { [ROLE]: 'reader', note: 'of the shop' }), account('plain'))
  })
  after(() => cluster.destroy())

  it('a pod\'s image is pulled with the token of its account, which the provider was given with the annotations it may see', async () => {
    await apply(pod('granted', 'shop', PORTS.token))
    await ready('granted')
    assert.deepStrictEqual(requests('token'), [{
      kind: 'CredentialProviderRequest', apiVersion: V1, image: `127.0.0.1:${PORTS.token}/library/busybox`, serviceAccountAnnotations: { [ROLE]: 'reader', note: 'of the shop' }, as: 'token',
      token: { aud: [AUDIENCE], sub: 'system:serviceaccount:default:shop', pod: 'granted' },
    }])
    assert.deepStrictEqual(lets('token'), ['system:serviceaccount:default:shop'])
  })

  it('an account without the annotation is none of the provider\'s business: the registry refuses, until the account has it', async () => {
    await apply(pod('refused', 'plain', PORTS.token))
    await until('the pull fails', 60_000, async () => (await failure('refused')) !== '')
    assert.match(await failure('refused'), new RegExp(`^Failed to pull image "127\\.0\\.0\\.1:${PORTS.token}/library/busybox:1": .*(authorization failed: no basic auth credentials)`))
    assert.equal((await cluster.must(['get', 'pod', 'refused', '-o', 'jsonpath={.status.containerStatuses[0].state.waiting.reason}'])).replace('ImagePullBackOff', 'ErrImagePull'), 'ErrImagePull')
    assert.equal(requests('token').length, 1)
    await cluster.must(['annotate', 'serviceaccount', 'plain', `${ROLE}=reader`])
    await ready('refused')
    assert.deepStrictEqual((requests('token')[1] as { serviceAccountAnnotations: object; token: object }).token, { aud: [AUDIENCE], sub: 'system:serviceaccount:default:plain', pod: 'refused' })
    assert.deepStrictEqual(lets('token'), ['system:serviceaccount:default:shop', 'system:serviceaccount:default:plain'])
  })

  it('what was pulled in an account\'s name is there for its pods without the registry, and not for those of another account', async () => {
    await apply(pod('again', 'shop', PORTS.token, 'IfNotPresent'), account('other'), pod('stranger', 'other', PORTS.token, 'IfNotPresent'))
    await ready('again')
    await until('the other account\'s pull fails', 60_000, async () => (await failure('stranger')) !== '')
    assert.match(await failure('stranger'), /no basic auth credentials/)
    assert.match(await cluster.must(['get', 'events', '--field-selector', 'involvedObject.name=again,reason=Pulled', '-o', 'jsonpath={.items[*].message}']), /already present on machine and can be accessed by the pod/)
  })

  it('answers for an account (cacheType ServiceAccount) are kept for all its pods, tokens (cacheType Token) are asked about with each', async () => {
    await apply(pod('kept-1', 'shop', PORTS.account))
    await ready('kept-1')
    await apply(pod('kept-2', 'shop', PORTS.account), pod('kept-3', 'plain', PORTS.account))
    await ready('kept-2', 'kept-3')
    assert.deepStrictEqual(requests('account').map((r) => (r as { token: { pod: string } }).token.pod), ['kept-1', 'kept-3'])
    const before = requests('token').length
    await apply(pod('each-1', 'shop', PORTS.token), pod('each-2', 'shop', PORTS.token))
    await ready('each-1', 'each-2')
    assert.equal(requests('token').length, before + 2)
  })

  it('a provider that hands out the token itself, though answers are kept for the account, is not believed', async () => {
    await apply(pod('careless', 'shop', PORTS.careless))
    await until('the pull fails', 60_000, async () => (await failure('careless')) !== '')
    assert.match(await failure('careless'), /no basic auth credentials/)
    assert.match(node().log('skiff'), /credential provider plugin returned the service account token as the password which is not allowed when service account cache type is not set to 'Token'/)
    assert.deepStrictEqual(lets('careless'), [])
    assert.doesNotMatch(node().log('skiff'), /eyJ[\w-]+\.eyJ/, 'no token in the log')
  })
})
