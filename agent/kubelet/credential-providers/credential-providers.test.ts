import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Pod, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { metricsText } from '../stats/metrics-text.ts'
import { createCredentialProviders, parseAnswer } from './credential-providers.ts'
import { parseProviderConfig } from './provider-config.ts'
import type { ServiceAccounts } from './service-accounts.ts'
import type { CredentialProvider } from './settings.ts'

const V1 = 'credentialprovider.kubelet.k8s.io/v1'
const one = (more: object = {}) => ({ name: 'helper', matchImages: ['*.reg.example'], defaultCacheDuration: '10m', apiVersion: V1, ...more })
const file = (...providers: object[]) => ({ kind: 'CredentialProviderConfig', apiVersion: 'kubelet.config.k8s.io/v1', providers })

test('a configuration is read as the kubelet\'s', () => {
  assert.deepEqual(parseProviderConfig(file(one({ args: ['get'], env: [{ name: 'A', value: 'b' }] }))), [{ name: 'helper', matchImages: ['*.reg.example'], defaultCacheMs: 600_000, apiVersion: V1, args: ['get'], env: { A: 'b' } }])
})

test('several files are one configuration', () => {
  assert.deepEqual(parseProviderConfig(file(one()), file(), file(one({ name: 'other' }))).map(({ name }) => name), ['helper', 'other'])
  assert.throws(() => parseProviderConfig(file(one()), file(one())), /duplicate provider name "helper"/)
})

const TOKEN = { serviceAccountTokenAudience: 'reg.example', cacheType: 'ServiceAccount', requireServiceAccount: true }

test('tokens of service accounts are configured as the kubelet\'s', () => {
  const [parsed] = parseProviderConfig(file(one({ tokenAttributes: { ...TOKEN, requiredServiceAccountAnnotationKeys: ['Example.com/Role'], optionalServiceAccountAnnotationKeys: ['note'] } })))
  assert.deepEqual(parsed?.token, { audience: 'reg.example', cacheType: 'ServiceAccount', requireServiceAccount: true, requiredAnnotations: ['Example.com/Role'], optionalAnnotations: ['note'] })
})

const refused: [string, unknown, RegExp][] = [
  ['another kind', { kind: 'Pod' }, /wrong Kind/], ['another version', { ...file(one()), apiVersion: 'v1' }, /apiVersion "v1" is none of/], ['none', file(), /at least 1 item in plugins/],
  ['a path for a name', file(one({ name: '../x' })), /provider name cannot contain '\/'/], ['a name twice', file(one(), one()), /duplicate provider name "helper" found in configuration file\(s\)/], ['no images', file(one({ matchImages: [] })), /at least 1 item in matchImages/],
  ['a slip of the pen', { ...file(one()), provider: [] }, /strict decoding error: unknown field "provider"/], ['one further in', file(one(), one({ name: 'b', matchImage: [] })), /unknown field "providers\[1\]\.matchImage"/],
  ['one in what it says of tokens', file(one({ tokenAttributes: { ...TOKEN, audience: 'x' } })), /unknown field "providers\.tokenAttributes\.audience"/],
  ['images that are none', file(one({ matchImages: ['a b'] })), /Invalid value: "a b": match image is invalid/], ['less than no time', file(one({ defaultCacheDuration: '-1s' })), /must be greater than or equal to 0/],
  ['no cache duration', file(one({ defaultCacheDuration: undefined })), /defaultCacheDuration: Required value/], ['a bad one', file(one({ defaultCacheDuration: 'soon' })), /"soon" is not a duration/],
  ['another protocol', file(one({ apiVersion: 'v2' })), /Unsupported value: "v2"/], ['tokens without an audience', file(one({ tokenAttributes: { requireServiceAccount: true, cacheType: 'Token' } })), /serviceAccountTokenAudience: Required value/],
  ['tokens that may or may not be needed', file(one({ tokenAttributes: { ...TOKEN, requireServiceAccount: undefined } })), /requireServiceAccount: Required value/],
  ['tokens in an older protocol', file(one({ apiVersion: V1.replace('v1', 'v1beta1'), tokenAttributes: TOKEN })), /only supported for credentialprovider\.kubelet\.k8s\.io\/v1 API version/],
  ['tokens kept by nothing', file(one({ tokenAttributes: { ...TOKEN, cacheType: undefined } })), /cacheType is required to be set/], ['tokens kept by something else', file(one({ tokenAttributes: { ...TOKEN, cacheType: 'Pod' } })), /Unsupported value: "Pod"/],
  ['annotations that no account need have', file(one({ tokenAttributes: { ...TOKEN, requireServiceAccount: false, requiredServiceAccountAnnotationKeys: ['a'] } })), /requireServiceAccount cannot be false/],
  ['annotations that are none', file(one({ tokenAttributes: { ...TOKEN, optionalServiceAccountAnnotationKeys: ['a/b/c'] } })), /Invalid value: "a\/b\/c"/],
  ['an annotation twice', file(one({ tokenAttributes: { ...TOKEN, optionalServiceAccountAnnotationKeys: ['a', 'a'] } })), /Duplicate value: "a"/],
  ['one that is needed and is not', file(one({ tokenAttributes: { ...TOKEN, requiredServiceAccountAnnotationKeys: ['a'], optionalServiceAccountAnnotationKeys: ['a'] } })), /cannot be both required and optional/],
]
for (const [what, value, says] of refused) test(`refused: ${what}`, () => assert.throws(() => parseProviderConfig(value), says))

const podOf = (name: string, serviceAccountName: string): Stored<Pod> => ({ metadata: { name, namespace: 'ns', uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '' }, spec: { containers: [], ...(serviceAccountName !== '' && { serviceAccountName }) } })

/** A provider that notes what it was asked, and answers with `script`. */
function machine(t: TestContext, script: string, token?: CredentialProvider['token']) {
  const binDir = mkdtempSync(join(tmpdir(), 'providers-'))
  t.after(() => rmSync(binDir, { recursive: true, force: true }))
  writeFileSync(join(binDir, 'helper'), `#!/bin/sh\ncat >> ${binDir}/asked; echo " $*$TOLD" >> ${binDir}/asked\n${script}\n`)
  chmodSync(join(binDir, 'helper'), 0o755)
  writeFileSync(join(binDir, 'asked'), '')
  const clock = new FakeClock()
  const lines: string[] = []
  const provider: CredentialProvider = { name: 'helper', matchImages: ['*.reg.example'], defaultCacheMs: 60_000, apiVersion: V1, args: ['get'], env: { TOLD: ' told' }, ...(token && { token }) }
  /** By name, which is also the beginning of its tokens. */
  const known: Record<string, { uid: string; annotations: Record<string, string> }> = {}
  let tokens = 0
  const accounts: ServiceAccounts = {
    get: (namespace, name) => (known[`${namespace}/${name}`] ? Promise.resolve(known[`${namespace}/${name}`] ?? { uid: '', annotations: {} }) : Promise.reject(new Error(`serviceaccounts "${name}" not found`))),
    token: (pod, uid, audience) => Promise.resolve(`${pod.metadata.name} ${uid} ${audience} ${++tokens}`),
  }
  const life = new AbortController()
  const providers = createCredentialProviders({ providers: [provider], binDir, environment: { PATH: '/usr/bin:/bin' }, configHash: 'sha256:abc' }, { clock, accounts, signal: life.signal, log: createLog({ format: 'text', level: 'debug', nowMs: () => 0, write: (line) => lines.push(line) }) })
  const asked = () => readFileSync(join(binDir, 'asked'), 'utf8').trimEnd().split('\n').filter((l) => l !== '')
  return { binDir, clock, lines, life, asked, known, metrics: () => metricsText(providers.metrics()), as: (image: string, pod: Stored<Pod>) => providers.credentialsFor(image, pod), ask: async (image: string) => (await providers.credentialsFor(image, podOf('p', ''))).map((c) => c.auth) }
}

const answering = (more: object) => `echo '${JSON.stringify({ kind: 'CredentialProviderResponse', apiVersion: V1, ...more })}'`
const auth = { 'a.reg.example': { username: 'u', password: 'secret' }, 'a.reg.example/team': { username: 'team', password: 'secret' }, 'b.reg.example': { username: 'other', password: 'secret' } }

test('a provider is asked for images that are its own, in the kubelet\'s words; what fits counts, the most specific first', async (t) => {
  const { ask, asked } = machine(t, answering({ cacheKeyType: 'Registry', auth }))
  assert.deepEqual(await ask('docker.io/library/busybox:1'), [])
  assert.deepEqual(asked(), [])
  assert.deepEqual(await ask('a.reg.example/team/app:1'), [{ username: 'team', password: 'secret' }, { username: 'u', password: 'secret' }])
  assert.deepEqual(asked(), [`{"kind":"CredentialProviderRequest","apiVersion":"${V1}","image":"a.reg.example/team/app"} get told`])
})

const KEPT: [string, number][] = [['Image', 3], ['Registry', 2], ['Global', 1]]
for (const [cacheKeyType, times] of KEPT) {
  test(`answers are kept by ${cacheKeyType}, and as long as is said`, async (t) => {
    const { ask, asked, clock } = machine(t, answering({ cacheKeyType, cacheDuration: '30s', auth }))
    const all = async () => { for (const image of ['a.reg.example/x:1', 'a.reg.example/x:2', 'a.reg.example/y', 'b.reg.example/x']) await ask(image) }
    await all()
    assert.equal(asked().length, times)
    await clock.advance(30_001)
    await all()
    assert.equal(asked().length, times * 2)
  })
}

test('pods that start together ask once; an answer for no time is not kept', async (t) => {
  const { ask, asked } = machine(t, answering({ cacheKeyType: 'Image', cacheDuration: '0s', auth }))
  await Promise.all([ask('a.reg.example/x'), ask('a.reg.example/x')])
  assert.equal(asked().length, 1)
  await ask('a.reg.example/x')
  assert.equal(asked().length, 2)
})

const FAILURES: [string, string, string][] = [
  ['fails', 'echo no such account >&2; exit 3', 'no such account'], ['answers no JSON', 'echo secret', 'provider helper answered what is no JSON'],
  ['fails without a word', 'exit 3', 'exit status 3'], ['dies', 'kill -9 $$', 'killed by SIGKILL'], ['answers more than anybody reads', 'head -c 2000000 /dev/zero | tr "\\0" x', 'it answered with more than 1048576 bytes'],
  ['answers something else', 'echo \'{"kind":"Secret"}\'', 'did not answer with a CredentialProviderResponse'], ['says more than there is to say', answering({ cacheKeyType: 'Image', auth: { 'a.reg.example': { username: 'u', password: 'secret', email: 'x' } } }), 'error decoding credential provider plugin response from stdout'], ['does not say for what', answering({ auth }), 'did not return a valid cacheKeyType'],
]
for (const [what, script, says] of FAILURES) {
  test(`a provider that ${what} is logged without what it knows, and there are no credentials of it`, async (t) => {
    const { ask, lines } = machine(t, script)
    assert.deepEqual(await ask('a.reg.example/x'), [])
    assert.equal(lines.length, 1)
    assert.ok(lines[0]?.includes(says) && !lines[0].includes('secret') && !lines[0].includes('helper get'), lines.join('\n'))
  })
}

test('credentials that are nothing are empty, as in Go', () => {
  const provider: CredentialProvider = { name: 'helper', matchImages: [], defaultCacheMs: 0, apiVersion: V1, args: [], env: {} }
  assert.deepEqual(parseAnswer(JSON.stringify({ kind: 'CredentialProviderResponse', apiVersion: V1, cacheKeyType: 'Image', auth: { a: null, b: { username: 'u' } } }), provider).auth, [{ pattern: 'a', auth: { username: '', password: '' } }, { pattern: 'b', auth: { username: 'u', password: '' } }])
})

test('a provider that hangs does not outlive the agent', async (t) => {
  const { ask, lines, life, binDir } = machine(t, 'echo $$ > "$0.pid"; exec sleep 4714')
  const asking = ask('a.reg.example/x')
  const written = (): string | undefined => { try { return readFileSync(join(binDir, 'helper.pid'), 'utf8').trim() || undefined } catch { return undefined } }
  while (written() === undefined) await new Promise((resolve) => setImmediate(resolve))
  life.abort()
  assert.deepEqual(await asking, [])
  assert.match(lines[0] ?? '', /the agent stops/)
  const isThere = (): boolean => { try { return process.kill(Number(written()), 0) } catch { return false } }
  while (isThere()) await new Promise((resolve) => setImmediate(resolve))
})

test('runs are timed and failures counted, by program; the configuration is told by its hash', async (t) => {
  const { ask, metrics, binDir } = machine(t, `[ -e "$0.fails" ] && exit 1; ${answering({ cacheKeyType: 'Image', cacheDuration: '0s', auth })}`)
  await ask('a.reg.example/x')
  writeFileSync(join(binDir, 'helper.fails'), '')
  await ask('a.reg.example/x')
  assert.deepEqual(metrics().split('\n').filter((line) => /^[^#].*(_info|_count|_total)/.test(line)), [
    'kubelet_credential_provider_config_info{hash="sha256:abc"} 1', 'kubelet_credential_provider_plugin_duration_count{plugin_name="helper"} 2', 'kubelet_credential_provider_plugin_errors_total{plugin_name="helper"} 1',
  ])
})

const attributes: NonNullable<CredentialProvider['token']> = { audience: 'aud', cacheType: 'ServiceAccount', requireServiceAccount: true, requiredAnnotations: ['role'], optionalAnnotations: ['note'] }
const IMAGE = 'a.reg.example/x:1'
const requests = (lines: readonly string[]) => lines.map((line) => JSON.parse(line.slice(0, line.lastIndexOf('}') + 1)) as Record<string, unknown>)

test('with tokens it is asked in the name of the pod\'s account, with its annotations; the credentials are that account\'s', async (t) => {
  const { as, asked, known } = machine(t, answering({ cacheKeyType: 'Registry', auth }), attributes)
  known['ns/web'] = { uid: 'u1', annotations: { role: 'reader', note: 'n', other: 'o' } }
  assert.deepEqual(await as(IMAGE, podOf('a', 'web')), [{ auth: { username: 'u', password: 'secret' }, account: { uid: 'u1', namespace: 'ns', name: 'web' } }])
  assert.deepEqual(requests(asked()), [{ kind: 'CredentialProviderRequest', apiVersion: V1, image: 'a.reg.example/x', serviceAccountToken: 'a u1 aud 1', serviceAccountAnnotations: { role: 'reader', note: 'n' } }])
})

test('pods without an account, accounts without what is required, and those that are not there are not its business', async (t) => {
  const { as, asked, known, lines } = machine(t, answering({ cacheKeyType: 'Registry', auth }), attributes)
  known['ns/bare'] = { uid: 'u1', annotations: { note: 'n' } }
  assert.deepEqual([await as(IMAGE, podOf('static', '')), await as(IMAGE, podOf('a', 'bare')), await as(IMAGE, podOf('a', 'gone')), asked()], [[], [], [], []])
  assert.deepEqual(lines.filter((line) => /serviceaccounts .*gone.* not found/.test(line)).length, 1, lines.join('\n'))
})

test('where no account is needed, pods without one get what the node gets', async (t) => {
  const { as, asked } = machine(t, answering({ cacheKeyType: 'Registry', auth }), { ...attributes, requireServiceAccount: false, requiredAnnotations: [] })
  assert.deepEqual(await as(IMAGE, podOf('static', '')), [{ auth: { username: 'u', password: 'secret' }, account: undefined }])
  assert.deepEqual(requests(asked()), [{ kind: 'CredentialProviderRequest', apiVersion: V1, image: 'a.reg.example/x' }])
})

const KEPT_BY: [NonNullable<CredentialProvider['token']>['cacheType'], number][] = [['ServiceAccount', 3], ['Token', 4]]
for (const [cacheType, times] of KEPT_BY) {
  test(`kept by ${cacheType}, an answer is for nobody else`, async (t) => {
    const { as, asked, known } = machine(t, answering({ cacheKeyType: 'Global', auth }), { ...attributes, cacheType })
    known['ns/web'] = { uid: 'u1', annotations: { role: 'reader' } }
    known['ns/db'] = { uid: 'u2', annotations: { role: 'reader' } }
    for (const [pod, account] of [['a', 'web'], ['b', 'web'], ['c', 'db']] as const) await as(IMAGE, podOf(pod, account))
    // Another annotation may mean other rights.
    known['ns/web'] = { uid: 'u1', annotations: { role: 'writer' } }
    await as(IMAGE, podOf('a', 'web'))
    assert.equal(asked().length, times)
  })
}

test('pods of one account that start together are asked for apart, each with its own token', async (t) => {
  const { as, asked, known } = machine(t, answering({ cacheKeyType: 'Registry', auth }), attributes)
  known['ns/web'] = { uid: 'u1', annotations: { role: 'reader' } }
  await Promise.all([as(IMAGE, podOf('a', 'web')), as(IMAGE, podOf('b', 'web'))])
  assert.equal(asked().length, 2)
})

test('a token that comes back as the password is taken only where answers are kept by the token', async (t) => {
  const echo = `echo '{"kind":"CredentialProviderResponse","apiVersion":"${V1}","cacheKeyType":"Global","auth":{"*.reg.example":{"username":"t","password":"a u1 aud 1"}}}'`
  const strict = machine(t, echo, attributes)
  strict.known['ns/web'] = { uid: 'u1', annotations: { role: 'reader' } }
  assert.deepEqual(await strict.as(IMAGE, podOf('a', 'web')), [])
  assert.ok(strict.lines[0]?.includes('returned the service account token as the password') && !strict.lines[0].includes('a u1 aud'), strict.lines.join('\n'))
  const byToken = machine(t, echo, { ...attributes, cacheType: 'Token' })
  byToken.known['ns/web'] = { uid: 'u1', annotations: { role: 'reader' } }
  assert.deepEqual((await byToken.as(IMAGE, podOf('a', 'web'))).map((c) => c.auth.password), ['a u1 aud 1'])
})
