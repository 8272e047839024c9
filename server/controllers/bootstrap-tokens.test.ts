import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { CONFIG_MAPS, NAMESPACES, SECRETS, type ConfigMap, type Secret, type Stored } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { seededRandom } from '#base/random.ts'
import { decideBootstrapSigner, detachedSignature } from './bootstrap-signer/decide.ts'
import { startCluster } from './cluster.test-support.ts'
import { decideTokenCleaner } from './token-cleaner/decide.ts'

const NOW = Date.UTC(2026, 0, 1)
const ctx = { nowMs: NOW, random: seededRandom(1) }

const token = (id: string, data: Record<string, string> = {}): Stored<Secret> => ({
  apiVersion: 'v1', kind: 'Secret', type: 'bootstrap.kubernetes.io/token', metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system', uid: `u-${id}`, resourceVersion: '1', creationTimestamp: '' },
  data: Object.fromEntries(Object.entries({ 'token-id': id, 'token-secret': '0123456789abcdef', 'usage-bootstrap-signing': 'true', ...data }).map(([k, v]) => [k, Buffer.from(v).toString('base64')])),
})
const info = (data: Record<string, string>): Stored<ConfigMap> => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cluster-info', namespace: 'kube-public', uid: 'i', resourceVersion: '1', creationTimestamp: '' }, data })

test('a token is removed when its time is over, and waited for until then', () => {
  const of = (expiration: string) => {
    const { actions, wakeAtMs } = decideTokenCleaner(token('abcdef', { expiration }), ctx)
    return [actions.map((a) => `${a.kind} ${a.name} ${a.uid}`), wakeAtMs]
  }
  const removed = ['remove bootstrap-token-abcdef u-abcdef']
  assert.deepStrictEqual([of(''), of('2026-01-01T00:01:00Z'), of('2025-12-31T23:59:59Z'), of('soon')], [[[], undefined], [[], NOW + 60_001], [removed, undefined], [removed, undefined]])
})

test('cluster-info is signed by every token that may, and by no other', () => {
  const signer = (data: Record<string, string>, ...tokens: Stored<Secret>[]) => decideBootstrapSigner({ info: info(data), tokens }, ctx)
  const wanted = { kubeconfig: 'k', 'jws-kubeconfig-abcdef': detachedSignature('k', 'abcdef', '0123456789abcdef'), 'jws-kubeconfig-ghijkl': detachedSignature('k', 'ghijkl', 'x') }
  const tokens = [token('abcdef', { expiration: '2026-01-01T01:00:00Z' }), token('ghijkl', { 'token-secret': 'x' }), token('mnopqr', { 'usage-bootstrap-signing': 'false' }), token('stuvwx', { expiration: '2025-01-01T00:00:00Z' })]
  assert.deepStrictEqual(signer({ kubeconfig: 'k', 'jws-kubeconfig-zzzzzz': 'old' }, ...tokens), { actions: [{ kind: 'write', data: wanted }], because: 'signatures changed', wakeAtMs: NOW + 3_600_001 })
  assert.deepStrictEqual([signer(wanted, ...tokens).actions, signer({}, ...tokens).actions], [[], []])
  const [header = '', payload, signature] = detachedSignature('k', 'abcdef', 's').split('.')
  assert.deepStrictEqual([JSON.parse(Buffer.from(header, 'base64url').toString()), payload, signature], [{ alg: 'HS256', kid: 'abcdef' }, '', createHmac('sha256', 's').update(`${header}.aw`).digest('base64url')])
})

test('in a cluster: expired tokens go, cluster-info is signed', async () => {
  await using cluster = await startCluster()
  const { client } = cluster
  await cluster.until('kube-public is there', () => client.get(NAMESPACES, 'kube-public').then(() => undefined))
  const bare = ({ apiVersion, kind, type, data, metadata: { name, namespace } }: Stored<Secret>): Secret => ({ apiVersion, kind, type, data, metadata: { name, namespace } }) as Secret
  await client.create<Secret>(SECRETS, bare(token('abcdef')))
  await client.create<Secret>(SECRETS, bare(token('ghijkl', { expiration: '2020-01-01T00:00:00Z' })))
  await client.create<ConfigMap>(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'cluster-info', namespace: 'kube-public' }, data: { kubeconfig: 'k' } })
  await cluster.until('it is signed', async () => assert.deepStrictEqual((await client.get<ConfigMap>(CONFIG_MAPS, 'cluster-info', 'kube-public')).data, { kubeconfig: 'k', 'jws-kubeconfig-abcdef': detachedSignature('k', 'abcdef', '0123456789abcdef') }))
  await cluster.until('the expired one is gone', () => client.get(SECRETS, 'bootstrap-token-ghijkl', 'kube-system').then(() => assert.fail('still there'), (error: unknown) => assert.ok(isReason(error, 'NotFound'))))
})
