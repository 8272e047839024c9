import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Secret } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import type { Image } from '#cri/index.ts'
import { createMemoryRuntime } from '#cri/memory/runtime-memory.ts'
import { createImagePuller, goDuration, isImageName } from './image-puller.ts'
import { createNodeCredentials, type NodeCredentials } from './node-credentials.ts'
import { fitsImage, imageCredentials } from './pull-secrets.ts'
import { createSemaphore } from './semaphore.ts'
import { metricsText } from './stats/metrics-text.ts'
import { aPod } from './testing/builders.ts'

const b64 = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64')
const secret = (auths: object): Secret => ({ data: { '.dockerconfigjson': b64({ auths }) } })

test('credentials fit by registry, path and wildcard, the most specific first', () => {
  const secrets = [secret({ 'https://index.docker.io/v1/': { auth: b64('hub:pw:with:colons') }, 'reg.example': { username: 'all', password: 'p' }, 'reg.example/team': { username: 'team', password: 'p' }, '*.wild.example': { registrytoken: 't' }, '[a-r]eg.other': { username: 'class', password: 'p' }, 'reg.other': { username: 'name', password: 'p' } }), { data: { '.dockercfg': b64({ 'old.example': { username: 'o', password: 'p' } }) } }, { data: { '.dockerconfigjson': b64('not json') } }]
  const users = (image: string) => imageCredentials(image, secrets).map(({ auth }) => auth.username ?? auth.registryToken)
  assert.deepStrictEqual([users('busybox'), users('docker.io/a/b:1'), users('reg.example/team/app'), users('reg.example/other'), users('a.wild.example/x'), users('a.b.wild.example/x'), users('old.example/x'), users('reg.example:5000/x'), users('reg.other/x')],
    [['hub'], ['hub'], ['team', 'all'], ['all'], ['t'], [], ['o'], [], ['name', 'class']])
  assert.equal(imageCredentials('busybox', secrets)[0]?.auth.password, 'pw:with:colons')
})

const PATTERNS: [string, string, boolean][] = [
  ['reg.example/team-', 'reg.example/team-a/app', true], ['reg.example/team', 'reg.example/teams/app', true], ['reg.example/team/', 'reg.example/team', false], ['reg.example/', 'reg.example/team', true], ['https://reg.example/v2/team', 'reg.example/team', true], ['reg.example/v1', 'reg.example/team', false], ['reg.example:5000', 'reg.example/x', false],
  ['reg?.example', 'reg1.example/x', true], ['reg?.example', 'reg.example/x', false], ['reg[0-3].example', 'reg2.example/x', true], ['reg[0-3].example', 'reg4.example/x', false], ['reg[^ab].example', 'regc.example/x', true], ['reg[^ab].example', 'rega.example/x', false],
  ['r*g*.example', 'rxgxy.example/x', true], ['*g.example', 'gag.example/x', true], ['*g.example', 'gab.example/x', false], ['*.example', 'a.b.example/x', false], ['reg[.example', 'reg[.example/x', false], ['reg[b-a].example', 'rega.example/x', false],
  [`${'*a'.repeat(200)}b.example`, `${'a'.repeat(2_000)}.example/x`, false],
]
for (const [registry, image, expected] of PATTERNS) test(`${registry.slice(0, 40)} is ${expected ? '' : 'not '}for ${image.slice(0, 40)}`, () => assert.equal(fitsImage(registry, image), expected))

test('image names are those of the distribution grammar', () => {
  for (const good of ['busybox', 'a/b:1.2_x', 'reg.io:5000/a/b/c@sha256:' + 'a'.repeat(64), 'localhost/x', '[::1]:5000/x', 'a__b--c.d']) assert.ok(isImageName(good), good)
  for (const bad of ['', 'Upper', 'a b', 'a//b', ':tag', 'a:', 'a@sha256:short', '-a', 'x'.repeat(5_000), 'a:b:c']) assert.ok(!isImageName(bad), bad)
})

test('durations read as Go prints them', () => assert.deepStrictEqual([0, 0.4, 999.9, 1_000, 1_250, 62_500, 3_600_000, 3_723_004].map(goDuration), ['0s', '0s', '999ms', '1s', '1.25s', '1m2.5s', '1h0m0s', '1h2m3.004s']))

/** Everybody may use everything. */
const access = { mayUse: () => Promise.resolve(true), pulling: async (_: string, pull: () => Promise<{ image: Image }>) => (await pull()).image }

function puller(maxParallelPulls = 2, more: { node?: NodeCredentials; secrets?: Secret[] } = {}) {
  const clock = new FakeClock()
  const runtime = createMemoryRuntime({ clock, random: seededRandom(1), writeLogs: false })
  const told: string[] = []
  const images = createImagePuller({ runtime, access, clock, log: silentLog, maxParallelPulls, ...more })
  const ensure = (image: string, imagePullPolicy: string, signal = new AbortController().signal) => images.ensure({ pod: aPod(), image, policy: imagePullPolicy, secrets: more.secrets ?? [], event: (_, reason) => told.push(reason) }, signal)
  return { clock, runtime, told, ensure, metrics: () => metricsText(images.metrics()).split('\n').filter((line) => line.startsWith('kubelet_')) }
}

test('the policy decides: present, absent, always, never, and names that are none', async () => {
  const p = puller()
  p.runtime.control.addImage('here:1')
  p.runtime.control.serve('there:1')
  await p.ensure('here:1', 'IfNotPresent')
  await p.ensure('there:1', 'IfNotPresent')
  await assert.rejects(p.ensure('here:1', 'Always'), { reason: 'ErrImagePull' })
  await assert.rejects(p.ensure('nowhere:1', 'Never'), { reason: 'ErrImageNeverPull', message: 'Container image "nowhere:1" is not present with pull policy of Never' })
  await assert.rejects(p.ensure('Not A Name', 'Always'), { reason: 'InvalidImageName', message: 'Failed to apply default image tag "Not A Name": couldn\'t parse image name "Not A Name": invalid reference format' })
  assert.deepStrictEqual(p.told, ['Pulled', 'Pulling', 'Pulled', 'Pulling', 'Failed', 'ErrImageNeverPull', 'InspectFailed'])
  const counted = (policy: string, there: string, pull: string, times = 1) => `kubelet_image_manager_ensure_image_requests_total{present_locally="${there}",pull_policy="${policy}",pull_required="${pull}"} ${times}`
  assert.deepStrictEqual(p.metrics().toSorted(), [counted('ifnotpresent', 'false', 'true'), counted('never', 'false', 'unknown'), counted('ifnotpresent', 'true', 'false'), counted('always', 'unknown', 'true'), counted('always', 'unknown', 'unknown')])
})

test('a name in capitals is told by its repository, as the distribution library tells it', async () => {
  const p = puller()
  for (const [name, repository] of [['Busybox:1', 'library/Busybox'], ['reg.io:5000/Team/app', 'Team/app'], ['a/B', 'a/B']] as const) await assert.rejects(p.ensure(name, 'Always'), { reason: 'InvalidImageName', message: `Failed to apply default image tag "${name}": couldn't parse image name "${name}": invalid reference format: repository name (${repository}) must be lowercase` })
})

test('the machine\'s own credentials come after the pod\'s, as they are at each pull; what each was told is told, each once; errors that CRI names are named', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'node-credentials-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'broken.json'), '{')
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ auths: { 'reg.example': { auth: b64('node:n') } }, credsStore: 'desktop' }))
  writeFileSync(join(dir, '.dockercfg'), JSON.stringify({ 'old.example': { auth: b64('old:o') } }))
  const of = (...files: string[]) => createNodeCredentials({ files: files.map((file) => join(dir, file)), log: silentLog })
  const node = of('none.json', 'broken.json', 'config.json', '.dockercfg')
  assert.deepStrictEqual([await node.credentialsFor('reg.example/x'), await node.credentialsFor('old.example/x'), await of('.dockercfg').credentialsFor('old.example/x:1')], [[{ username: 'node', password: 'n' }], [], [{ username: 'old', password: 'o' }]])
  writeFileSync(join(dir, 'config.json'), '{}')
  assert.deepStrictEqual(await node.credentialsFor('reg.example/x'), [], 'a file without any hides what comes after it, as upstream')

  const p = puller(2, { node: { credentialsFor: () => Promise.resolve([{ username: 'node' }]) }, secrets: [secret({ 'reg.example': { username: 'pod', password: 'p' } })] })
  const pulls = () => p.runtime.control.calls.splice(0).flatMap(({ method, args }) => (method === 'pullImage' ? [(args[1] as { username?: string } | undefined)?.username] : []))
  p.runtime.control.fail('pullImage', new Error('denied'), 1)
  await assert.rejects(p.ensure('reg.example/x:1', 'Always'), { reason: 'ErrImagePull', message: /^\[denied, .*\]$/ })
  assert.deepStrictEqual(pulls(), ['pod', 'node'])
  p.runtime.control.fail('pullImage', new Error('denied'), 2)
  await assert.rejects(p.ensure('reg.example/x:1', 'Always'), { reason: 'ErrImagePull', message: 'denied' })
  p.runtime.control.fail('pullImage', new Error('SignatureValidationFailed: no key fits'), 2)
  await assert.rejects(p.ensure('reg.example/x:1', 'Always'), { reason: 'SignatureValidationFailed', message: 'image pull failed for reg.example/x:1 because the signature validation failed: no key fits' })
})

test('more pulls than allowed wait in line, and one given up leaves the line', async () => {
  const p = puller(1)
  for (const name of ['a:1', 'b:1', 'c:1']) p.runtime.control.serve(name, { pullMs: 1_000 })
  const stop = new AbortController()
  const results: string[] = []
  const pull = (name: string, signal?: AbortSignal) => p.ensure(name, 'Always', signal).then(() => results.push(name), () => results.push(`${name} given up`))
  const all = [pull('a:1'), pull('b:1', stop.signal), pull('c:1')]
  await p.clock.advance(500)
  stop.abort(new Error('the pod is to end'))
  await p.clock.advance(1_500)
  await Promise.all(all)
  assert.deepStrictEqual([results, p.clock.monotonicMs()], [['b:1 given up', 'a:1', 'c:1'], 2_000])
})

test('a semaphore given back twice is given back once', async () => {
  const s = createSemaphore(1)
  const { signal } = new AbortController()
  const release = await s.take(signal)
  release()
  release()
  await s.take(signal)
  let third = false
  void s.take(signal).then(() => { third = true })
  await new Promise((resolve) => { setImmediate(resolve) })
  assert.equal(third, false)
})
