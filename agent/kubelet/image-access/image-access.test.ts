import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Secret } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { CodedError } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import type { ContainerRuntime } from '#cri/index.ts'
import { createMemoryRuntime } from '#cri/memory/runtime-memory.ts'
import type { CredentialProviders } from '../credential-providers/credential-providers.ts'
import { createImagePuller } from '../image-puller.ts'
import { aPod } from '../testing/builders.ts'
import { decideAccess, repositoryOf, withCredentials, type AccessInput, type PulledRecord, type PullSecret } from './access.ts'
import { openImageAccess } from './image-access.ts'

const aSecret = (name: string, credentialHash: string): PullSecret => ({ uid: `uid-${name}`, namespace: 'default', name, credentialHash })
const known = (...kubernetesSecrets: PullSecret[]): PulledRecord => ({ imageRef: 'sha256:1', lastUpdatedTime: '2026-01-01T00:00:00Z', credentialMapping: { 'reg.example/app': { kubernetesSecrets } } })
const open: PulledRecord = { ...known(), credentialMapping: { 'reg.example/app': { nodePodsAccessible: true } } }

const anAccount = (name: string) => ({ uid: `uid-${name}`, namespace: 'ns', name })
const byAccount: PulledRecord = { ...known(), credentialMapping: { 'reg.example/app': { kubernetesServiceAccounts: [anAccount('web')] } } }

const asked = (more: Partial<AccessInput>): AccessInput => ({ policy: 'NeverVerifyPreloadedImages', allowlist: [], image: 'reg.example/app:1', record: known(aSecret('a', 'x')), isPulledHere: true, secrets: [], ...more })
const CASES: [string, Partial<AccessInput>, ReturnType<typeof decideAccess>][] = [
  ['one that no kubelet pulled is there for all', { record: undefined, isPulledHere: false }, { result: 'credentialPolicyAllowed' }],
  ['one whose pull was cut off is not', { record: undefined }, { result: 'mustAuthenticate' }],
  ['one that was pulled without credentials is there for all', { record: open }, { result: 'credentialRecordFound' }],
  ['under another name it was not pulled', { record: open, image: 'mirror.example/app:1' }, { result: 'mustAuthenticate' }],
  ['under another tag it was', { record: open, image: 'reg.example/app:2' }, { result: 'credentialRecordFound' }],
  ['a pod without the secret asks the registry', {}, { result: 'mustAuthenticate' }],
  ['a pod with the secret does not', { secrets: [aSecret('a', 'x')] }, { result: 'credentialRecordFound' }],
  ['nor one with the same content in another, which is learned', { secrets: [aSecret('b', 'x')] }, { result: 'credentialRecordFound', learn: aSecret('b', 'x') }],
  ['nor one whose secret has new content, which is learned', { secrets: [aSecret('a', 'y')] }, { result: 'credentialRecordFound', learn: aSecret('a', 'y') }],
  ['another secret with other content is another', { secrets: [aSecret('b', 'y')] }, { result: 'mustAuthenticate' }],
  ['one that an account pulled is there for its pods', { record: byAccount, account: anAccount('web') }, { result: 'credentialRecordFound' }],
  ['not for those of another', { record: byAccount, account: anAccount('db') }, { result: 'mustAuthenticate' }],
  ['not for those whose account was made anew', { record: byAccount, account: { ...anAccount('web'), uid: 'another' } }, { result: 'mustAuthenticate' }],
  ['never is never', { policy: 'NeverVerify' }, { result: 'credentialPolicyAllowed' }],
  ['always is also for what no kubelet pulled', { policy: 'AlwaysVerify', record: undefined, isPulledHere: false }, { result: 'mustAuthenticate' }],
  ['what is on the list by name', { policy: 'NeverVerifyAllowlistedImages', allowlist: ['reg.example/app'] }, { result: 'credentialPolicyAllowed' }],
  ['what is on the list by its beginning', { policy: 'NeverVerifyAllowlistedImages', allowlist: ['reg.example/*'] }, { result: 'credentialPolicyAllowed' }],
  ['what is not on the list', { policy: 'NeverVerifyAllowlistedImages', allowlist: ['reg.example/application'] }, { result: 'mustAuthenticate' }],
]
for (const [what, more, expected] of CASES) test(`who may use an image: ${what}`, () => assert.deepEqual(decideAccess(asked(more)), expected))

test('secrets that are known are bounded: beyond a hundred nothing is learned by looking on', () => {
  const many = known(...Array.from({ length: 100 }, (_, i) => aSecret(`s${i}`, `h${i}`)))
  assert.deepEqual(decideAccess(asked({ record: many, secrets: [aSecret('new', 'h7')] })), { result: 'credentialRecordFound' })
  assert.deepEqual(decideAccess(asked({ record: many, secrets: [aSecret('s7', 'changed')] })), { result: 'mustAuthenticate' })
})

test('a record gathers secrets until the image is there for all', () => {
  const put = (record: PulledRecord | undefined, credentials: Parameters<typeof withCredentials>[1]['credentials']) => withCredentials(record, { imageRef: 'sha256:1', image: 'reg.example/app:1', credentials, now: 'now' })
  const [a, b] = [aSecret('a', 'x'), aSecret('b', 'y')]
  const first = put(undefined, { kubernetesSecrets: [b] })
  const both = put(first, { kubernetesSecrets: [a] })
  assert.deepEqual(both.credentialMapping['reg.example/app'], { kubernetesSecrets: [a, b] })
  assert.equal(put(both, { kubernetesSecrets: [b] }), both)
  assert.equal(put(both, undefined), both)
  const withAccount = put(both, { kubernetesServiceAccounts: [anAccount('web')] })
  assert.deepEqual(withAccount.credentialMapping['reg.example/app'], { kubernetesSecrets: [a, b], kubernetesServiceAccounts: [anAccount('web')] })
  assert.equal(put(withAccount, { kubernetesServiceAccounts: [anAccount('web')] }), withAccount)
  const all = put(withAccount, { nodePodsAccessible: true })
  assert.deepEqual(all.credentialMapping['reg.example/app'], { nodePodsAccessible: true })
  assert.equal(put(all, { kubernetesSecrets: [a] }), all)
})

test('names lose their tag and digest, not their port', () => {
  assert.deepEqual(['busybox', 'busybox:1', 'reg.example:5000/a/b', 'reg.example:5000/a/b:1', `reg.example:5000/a:1@sha256:${'a'.repeat(64)}`].map(repositoryOf), ['busybox', 'busybox', 'reg.example:5000/a/b', 'reg.example:5000/a/b', 'reg.example:5000/a'])
})

const pullSecret = (name: string, password: string): Secret => ({ metadata: { name, namespace: 'default', uid: `uid-${name}` }, data: { '.dockerconfigjson': Buffer.from(JSON.stringify({ auths: { 'reg.example': { username: 'u', password } } })).toString('base64') } })

/** A registry that gives images only to those who know its password; `restart` is a new agent on the same disk. */
function node(t: TestContext) {
  const rootDir = mkdtempSync(join(tmpdir(), 'image-access-'))
  t.after(() => rmSync(rootDir, { recursive: true, force: true }))
  const clock = new FakeClock()
  const memory = createMemoryRuntime({ clock, random: seededRandom(1), writeLogs: false })
  memory.control.serve('reg.example/app:1')
  const registry = { password: 'right', dies: false }
  const runtime: ContainerRuntime = Object.assign(Object.create(memory) as ContainerRuntime, {
    async pullImage(...[ref, options]: Parameters<ContainerRuntime['pullImage']>) {
      if (options.auth?.password !== registry.password) throw new CodedError('CRI_PULL_FAILED', 'pull access denied')
      const image = await memory.pullImage(ref, options)
      if (registry.dies) throw new Error('killed')
      return image
    },
  })
  const start = async (providers?: CredentialProviders) => {
    const access = await openImageAccess({ runtime, config: { imageVerification: 'NeverVerifyPreloadedImages', imageVerificationAllowlist: [] }, rootDir, clock, log: silentLog })
    const images = createImagePuller({ runtime, access, providers, clock, log: silentLog, maxParallelPulls: 2 })
    const asks = async (secrets: Secret[], policy = 'IfNotPresent') => {
      const told: string[] = []
      await images.ensure({ pod: aPod(), image: 'reg.example/app:1', policy, secrets, event: (_, reason) => told.push(reason) }, new AbortController().signal).catch((error: unknown) => told.push((error as { reason: string }).reason))
      return told
    }
    const asksAs = async (serviceAccountName: string) => {
      const told: string[] = []
      const pod = aPod()
      await images.ensure({ pod: { ...pod, spec: { containers: [], ...pod.spec, serviceAccountName } }, image: 'reg.example/app:1', policy: 'IfNotPresent', secrets: [], event: (_, reason) => told.push(reason) }, new AbortController().signal).catch((error: unknown) => told.push((error as { reason: string }).reason))
      return told
    }
    return { access, asks, asksAs }
  }
  const files = (of: string) => readdirSync(join(rootDir, 'image_manager', of))
  return { rootDir, clock, memory, runtime, registry, start, files }
}

test('an image pulled with a secret is there for pods that have it, also after a restart; others have to convince the registry', async (t) => {
  const { start, registry } = node(t)
  const first = await start()
  assert.deepEqual(await first.asks([pullSecret('a', 'right')]), ['Pulling', 'Pulled'])
  registry.password = 'changed'
  const second = await start()
  for (const { asks } of [first, second]) {
    assert.deepEqual(await asks([pullSecret('a', 'right')]), ['Pulled'])
    assert.deepEqual(await asks([pullSecret('other', 'right')]), ['Pulled'])
    assert.deepEqual(await asks([]), ['Pulling', 'Failed', 'ErrImagePull'])
    assert.deepEqual(await asks([pullSecret('b', 'wrong')], 'Never'), ['ErrImageNeverPull', 'ErrImageNeverPull'])
  }
  assert.deepEqual(first.access.metrics()[0]?.samples, [{ labels: { result: 'credentialRecordFound' }, value: 2 }, { labels: { result: 'mustAuthenticate' }, value: 2 }])
})

test('an image that an account\'s token pulled is there for pods of that account, without the registry; others have to convince it', async (t) => {
  const { start, registry } = node(t)
  const providers: CredentialProviders = {
    metrics: () => [],
    credentialsFor: (_, pod) => Promise.resolve([{ auth: { password: pod.spec?.serviceAccountName === 'web' ? 'right' : 'wrong' }, account: { uid: `uid-${pod.spec?.serviceAccountName}`, namespace: 'ns', name: pod.spec?.serviceAccountName ?? '' } }]),
  }
  assert.deepEqual(await (await start(providers)).asksAs('web'), ['Pulling', 'Pulled'])
  registry.password = 'changed'
  const { asksAs, asks } = await start(providers)
  assert.deepEqual([await asksAs('web'), await asksAs('db'), await asks([])], [['Pulled'], ['Pulling', 'Failed', 'ErrImagePull'], ['Pulling', 'Failed', 'ErrImagePull']])
})

test('whoever removes what is kept of an image, while the agent runs, has it asked for anew: the next pull says whose it is', async (t) => {
  const { rootDir, memory, start, files } = node(t)
  const { access, asks } = await start()
  await access.pulling('reg.example/app:1', async () => ({ image: await memory.pullImage('reg.example/app:1', {}), with: undefined }))
  assert.deepEqual(await asks([]), ['Pulled'], 'by the node itself: for all')
  rmSync(join(rootDir, 'image_manager'), { recursive: true })
  assert.deepEqual(await asks([pullSecret('a', 'right')], 'Always'), ['Pulling', 'Pulled'])
  assert.deepEqual([await asks([]), await asks([pullSecret('a', 'right')]), files('pulled').length], [['Pulling', 'Failed', 'ErrImagePull'], ['Pulled'], 1])
})

test('what was imported is there for all', async (t) => {
  const { start, memory } = node(t)
  memory.control.addImage('reg.example/app:1')
  assert.deepEqual(await (await start()).asks([]), ['Pulled'])
})

test('an agent killed between the pull and its record does not make the image one for all', async (t) => {
  const { start, files, rootDir, memory } = node(t)
  const { access } = await start()
  const never = new Promise<never>(() => {})
  void access.pulling('reg.example/app:1', async () => {
    await memory.pullImage('reg.example/app:1', {})
    return never
  })
  while (!(await memory.imageStatus('reg.example/app:1'))) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(files('pulling').length, 1)
  const next = await start()
  assert.deepEqual([files('pulling').length, files('pulled').length], [0, 1])
  assert.deepEqual(await next.asks([]), ['Pulling', 'Failed', 'ErrImagePull'])
  assert.deepEqual(await next.asks([pullSecret('a', 'right')]), ['Pulling', 'Pulled'])
  const [file = ''] = files('pulled')
  const record = JSON.parse(readFileSync(join(rootDir, 'image_manager', 'pulled', file), 'utf8')) as { kind: string; apiVersion: string; credentialMapping: object }
  assert.deepEqual([record.kind, record.apiVersion, Object.keys(record.credentialMapping)], ['ImagePulledRecord', 'kubelet.config.k8s.io/v1beta1', ['reg.example/app']])
  assert.ok(!JSON.stringify(record).includes('right'))
})

test('a record that cannot be read counts as pulled by nobody knows whom; records of images that are gone go', async (t) => {
  const { start, files, rootDir, memory, clock } = node(t)
  await (await start()).asks([pullSecret('a', 'right')])
  writeFileSync(join(rootDir, 'image_manager', 'pulled', files('pulled')[0] ?? ''), '{"kind":"Ima')
  const { asks, access } = await start()
  assert.deepEqual(await asks([]), ['Pulling', 'Failed', 'ErrImagePull'])
  assert.deepEqual(await asks([pullSecret('a', 'right')]), ['Pulling', 'Pulled'])
  await clock.advance(5_000)
  await access.prune()
  assert.equal(files('pulled').length, 1)
  await memory.removeImage('reg.example/app:1')
  await access.prune()
  assert.equal(files('pulled').length, 0)
})

test('an image that is pulled again while images that are gone are forgotten is not forgotten, and so not one for all', async (t) => {
  const { start, clock, memory, runtime } = node(t)
  const { access, asks } = await start()
  await asks([pullSecret('a', 'right')])
  await memory.removeImage('reg.example/app:1')
  await clock.advance(60_000)
  const listed = Promise.withResolvers<void>()
  const pulledAgain = Promise.withResolvers<void>()
  runtime.listImages = async () => {
    const images = await memory.listImages()
    listed.resolve()
    await pulledAgain.promise
    return images
  }
  const pruned = access.prune()
  await listed.promise
  assert.deepEqual(await asks([pullSecret('a', 'right')]), ['Pulling', 'Pulled'])
  pulledAgain.resolve()
  await pruned
  assert.deepEqual(await asks([]), ['Pulling', 'Failed', 'ErrImagePull'])
})

test('a cut-off pull is found by whatever name the pod used, and one whose note cannot be read still counts as a pull', async (t) => {
  const { start, files, rootDir, memory, runtime } = node(t)
  const whole = 'docker.io/library/app:1'
  memory.control.serve(whole)
  // Runtimes complete names, each in its own way.
  runtime.imageStatus = (ref) => memory.imageStatus(ref.replace('docker.io/app', 'docker.io/library/app'))
  const { access } = await start()
  void access.pulling('docker.io/app:1', async () => {
    await memory.pullImage(whole, {})
    return new Promise<never>(() => {})
  })
  while (!(await memory.imageStatus(whole))) await new Promise((resolve) => setImmediate(resolve))
  const present = await memory.imageStatus(whole)
  if (!present) return assert.fail('it is not here')
  const [note = ''] = files('pulling')
  const path = join(rootDir, 'image_manager', 'pulling', note)
  const text = readFileSync(path, 'utf8')
  for (const damaged of ['{"kind":"Im', '{}']) {
    writeFileSync(path, damaged)
    assert.equal(await (await start()).access.mayUse('docker.io/app:1', present, []), false)
    assert.deepEqual(files('pulling'), [note])
  }
  writeFileSync(path, text)
  const next = await start()
  assert.deepEqual([files('pulling').length, files('pulled').length, await next.access.mayUse('docker.io/app:1', present, [])], [0, 1, false])
})

test('a pull that fails says why it did, not that its note cannot be removed', async (t) => {
  const { start, rootDir, files } = node(t)
  const { access } = await start()
  await assert.rejects(access.pulling('reg.example/app:1', async () => {
    const path = join(rootDir, 'image_manager', 'pulling', files('pulling')[0] ?? '')
    rmSync(path)
    mkdirSync(path)
    throw new Error('no such host')
  }), /no such host/)
})
