import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { createCredentialProviders, parseAnswer } from './credential-providers.ts'
import { parseProviderConfig } from './provider-config.ts'
import type { CredentialProvider } from './settings.ts'

const V1 = 'credentialprovider.kubelet.k8s.io/v1'
const one = (more: object = {}) => ({ name: 'helper', matchImages: ['*.reg.example'], defaultCacheDuration: '10m', apiVersion: V1, ...more })
const file = (...providers: object[]) => ({ kind: 'CredentialProviderConfig', apiVersion: 'kubelet.config.k8s.io/v1', providers })

test('a configuration is read as the kubelet\'s', () => {
  assert.deepEqual(parseProviderConfig(file(one({ args: ['get'], env: [{ name: 'A', value: 'b' }] }))), [{ name: 'helper', matchImages: ['*.reg.example'], defaultCacheMs: 600_000, apiVersion: V1, args: ['get'], env: { A: 'b' } }])
})

const refused: [string, unknown, RegExp][] = [
  ['another kind', { kind: 'Pod' }, /wrong Kind/], ['another version', { ...file(one()), apiVersion: 'v1' }, /apiVersion "v1" is none of/], ['none', file(), /at least 1 item in plugins/],
  ['a path for a name', file(one({ name: '../x' })), /provider name cannot contain '\/'/], ['a name twice', file(one(), one()), /Duplicate value: "helper"/], ['no images', file(one({ matchImages: [] })), /at least 1 item in matchImages/],
  ['no cache duration', file(one({ defaultCacheDuration: undefined })), /defaultCacheDuration: Required value/], ['a bad one', file(one({ defaultCacheDuration: 'soon' })), /"soon" is not a duration/],
  ['another protocol', file(one({ apiVersion: 'v2' })), /Unsupported value: "v2"/], ['tokens of service accounts', file(one({ tokenAttributes: {} })), /helper wants tokens of service accounts, which is not there yet/],
]
for (const [what, value, says] of refused) test(`refused: ${what}`, () => assert.throws(() => parseProviderConfig(value), says))

/** A provider that notes what it was asked, and answers with `script`. */
function machine(t: TestContext, script: string) {
  const binDir = mkdtempSync(join(tmpdir(), 'providers-'))
  t.after(() => rmSync(binDir, { recursive: true, force: true }))
  writeFileSync(join(binDir, 'helper'), `#!/bin/sh\ncat >> ${binDir}/asked; echo " $*$TOLD" >> ${binDir}/asked\n${script}\n`)
  chmodSync(join(binDir, 'helper'), 0o755)
  writeFileSync(join(binDir, 'asked'), '')
  const clock = new FakeClock()
  const lines: string[] = []
  const provider: CredentialProvider = { name: 'helper', matchImages: ['*.reg.example'], defaultCacheMs: 60_000, apiVersion: V1, args: ['get'], env: { TOLD: ' told' } }
  const life = new AbortController()
  const providers = createCredentialProviders({ providers: [provider], binDir, environment: { PATH: '/usr/bin:/bin' } }, { clock, signal: life.signal, log: createLog({ format: 'text', level: 'debug', nowMs: () => 0, write: (line) => lines.push(line) }) })
  const asked = () => readFileSync(join(binDir, 'asked'), 'utf8').trimEnd().split('\n').filter((l) => l !== '')
  return { binDir, clock, lines, life, asked, ask: (image: string) => providers.credentialsFor(image) }
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
  ['answers something else', 'echo \'{"kind":"Secret"}\'', 'did not answer with a CredentialProviderResponse'], ['does not say for what', answering({ auth }), 'did not return a valid cacheKeyType'],
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
