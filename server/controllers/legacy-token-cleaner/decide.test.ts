import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, Secret, ServiceAccount, Stored } from '#api/types/index.ts'
import { createInformers } from '#api/client/informer.ts'
import { isReason } from '#api/client/client.ts'
import { CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS, type ConfigMap } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { startCluster } from '../cluster.test-support.ts'
import { legacyTokenCleanerController } from './controller.ts'
import { decideLegacyTokens, type LegacyTokenView } from './decide.ts'

const NOW = Date.UTC(2026, 5, 1, 12)
const OLD = '2024-01-01T00:00:00Z'

const secret = (name: string, labels: Record<string, string> = {}, over: object = {}): Stored<Secret> => ({
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: '7', creationTimestamp: OLD, labels, annotations: { 'kubernetes.io/service-account.name': 'seller', 'kubernetes.io/service-account.uid': 'sa' }, ...over }, type: 'kubernetes.io/service-account-token',
})
const account = (...names: string[]): Stored<ServiceAccount> => ({ metadata: { name: 'seller', namespace: 'shop', uid: 'sa', resourceVersion: '1', creationTimestamp: OLD }, secrets: names.map((name) => ({ name })) })
const pod = (secretName: string): Pod => ({ metadata: { name: 'p', namespace: 'shop' }, spec: { containers: [], volumes: [{ name: 'v', secret: { secretName } }] } })
const decide = (secrets: readonly Stored<Secret>[], over: Partial<LegacyTokenView> = {}) => decideLegacyTokens({ secrets, accounts: [account('a')], pods: [], since: '2025-05-01', ...over }, { nowMs: NOW, random: seededRandom(1) })
const USED = 'kubernetes.io/legacy-token-last-used'
const INVALID = 'kubernetes.io/legacy-token-invalid-since'

test('a token that nobody used for a year is declared invalid, and removed a year later', () => {
  deepStrictEqual(decide([secret('a')]), { actions: [{ kind: 'markInvalid', namespace: 'shop', name: 'a', uid: 'uid-a', since: '2026-06-01' }], because: 'tokens that nobody used for a year', wakeAtMs: NOW + 86_400_000 })
  deepStrictEqual(decide([secret('a', { [USED]: '2025-05-31', [INVALID]: 'soon' })]).actions.map((a) => a.kind), ['markInvalid'])
  deepStrictEqual(decide([secret('a', { [INVALID]: '2025-06-01' })]).actions, [])
  deepStrictEqual(decide([secret('a', { [INVALID]: '2025-05-31' })]).actions, [{ kind: 'remove', namespace: 'shop', name: 'a', resourceVersion: '7' }])
})

test('what is used, young, mounted, made by people or somebody else\'s stays; and all while uses are not noted for a year', () => {
  for (const [why, secrets, over] of [
    ['used', [secret('a', { [USED]: '2025-06-01' })], {}], ['used, but nobody knows when', [secret('a', { [USED]: 'lately' })], {}], ['young', [secret('a', {}, { creationTimestamp: '2025-06-01T12:00:00Z' })], {}],
    ['mounted', [secret('a')], { pods: [pod('a')] }], ['made by people', [secret('b')], {}], ['of an account that is gone', [secret('a')], { accounts: [] }],
    ['of an account of before', [secret('a', {}, { annotations: { 'kubernetes.io/service-account.name': 'seller', 'kubernetes.io/service-account.uid': 'other' } })], {}], ['going', [secret('a', {}, { deletionTimestamp: OLD })], {}],
    ['not noted', [secret('a')], { since: undefined }], ['not noted for long', [secret('a')], { since: '2025-06-01' }], ['noted since no day', [secret('a')], { since: 'x' }],
  ] as const) deepStrictEqual(decide(secrets, over).actions, [], why)
})

test('in a cluster, years go by', { timeout: 180_000 }, async () => {
  await using cluster = await startCluster()
  const { client } = cluster
  await client.create<ConfigMap>(CONFIG_MAPS, { metadata: { name: 'kube-apiserver-legacy-service-account-token-tracking', namespace: 'kube-system' }, data: { since: '2024-01-01' } })
  const { metadata: { uid } } = await client.create<ServiceAccount>(SERVICE_ACCOUNTS, { metadata: { name: 'seller', namespace: 'default' }, secrets: [{ name: 'old' }] })
  for (const name of ['old', 'wanted']) {
    await client.create<Secret>(SECRETS, { metadata: { name, namespace: 'default', annotations: { 'kubernetes.io/service-account.name': 'seller', 'kubernetes.io/service-account.uid': uid } }, type: 'kubernetes.io/service-account-token' })
  }
  const run = async (inYears: number, until: () => Promise<void>) => {
    const clock = new FakeClock(Date.now() + inYears * 366 * 86_400_000)
    const stop = new AbortController()
    const shared = { client, clock, random: seededRandom(1), log: silentLog }
    const running = legacyTokenCleanerController({ ...shared, informers: createInformers(client, shared), config: { clusterCidr: '10.42.0.0/16', rootCaPem: '' } }).run(stop.signal)
    await cluster.until('the cleaner has been there', until)
    stop.abort()
    await running
  }
  const find = (name: string) => client.get<Secret>(SECRETS, name, 'default').catch((error: unknown) => { if (isReason(error, 'NotFound')) return undefined; throw error })
  await run(2, async () => { ok((await find('old'))?.metadata.labels?.[INVALID]) })
  await run(4, async () => { deepStrictEqual(await find('old'), undefined) })
  deepStrictEqual((await find('wanted'))?.metadata.labels, undefined)
})
