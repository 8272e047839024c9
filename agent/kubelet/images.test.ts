import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Secret } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import type { Image } from '#cri/index.ts'
import { createMemoryRuntime } from '#cri/memory/runtime-memory.ts'
import { createImagePuller, goDuration, isImageName } from './image-puller.ts'
import { imageCredentials } from './pull-secrets.ts'
import { createSemaphore } from './semaphore.ts'
import { aPod } from './testing/builders.ts'

const b64 = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64')
const secret = (auths: object): Secret => ({ data: { '.dockerconfigjson': b64({ auths }) } })

test('credentials fit by registry, path and wildcard, the most specific first', () => {
  const secrets = [secret({ 'https://index.docker.io/v1/': { auth: b64('hub:pw:with:colons') }, 'reg.example': { username: 'all', password: 'p' }, 'reg.example/team': { username: 'team', password: 'p' }, '*.wild.example': { registrytoken: 't' } }), { data: { '.dockercfg': b64({ 'old.example': { username: 'o', password: 'p' } }) } }, { data: { '.dockerconfigjson': b64('not json') } }]
  const users = (image: string) => imageCredentials(image, secrets).map(({ auth }) => auth.username ?? auth.registryToken)
  assert.deepStrictEqual([users('busybox'), users('docker.io/a/b:1'), users('reg.example/team/app'), users('reg.example/other'), users('a.wild.example/x'), users('a.b.wild.example/x'), users('old.example/x'), users('reg.example:5000/x')],
    [['hub'], ['hub'], ['team', 'all'], ['all'], ['t'], [], ['o'], []])
  assert.equal(imageCredentials('busybox', secrets)[0]?.auth.password, 'pw:with:colons')
})

test('image names are those of the distribution grammar', () => {
  for (const good of ['busybox', 'a/b:1.2_x', 'reg.io:5000/a/b/c@sha256:' + 'a'.repeat(64), 'localhost/x', '[::1]:5000/x', 'a__b--c.d']) assert.ok(isImageName(good), good)
  for (const bad of ['', 'Upper', 'a b', 'a//b', ':tag', 'a:', 'a@sha256:short', '-a', 'x'.repeat(5_000), 'a:b:c']) assert.ok(!isImageName(bad), bad)
})

test('durations read as Go prints them', () => assert.deepStrictEqual([0, 0.4, 999.9, 1_000, 1_250, 62_500, 3_600_000, 3_723_004].map(goDuration), ['0s', '0s', '999ms', '1s', '1.25s', '1m2.5s', '1h0m0s', '1h2m3.004s']))

/** Everybody may use everything. */
const access = { mayUse: () => Promise.resolve(true), pulling: async (_: string, pull: () => Promise<{ image: Image }>) => (await pull()).image }

function puller(maxParallelPulls = 2) {
  const clock = new FakeClock()
  const runtime = createMemoryRuntime({ clock, random: seededRandom(1), writeLogs: false })
  const told: string[] = []
  const images = createImagePuller({ runtime, access, clock, log: silentLog, maxParallelPulls })
  const ensure = (image: string, imagePullPolicy: string, signal = new AbortController().signal) => images.ensure({ pod: aPod(), image, policy: imagePullPolicy, secrets: [], event: (_, reason) => told.push(reason) }, signal)
  return { clock, runtime, told, ensure }
}

test('the policy decides: present, absent, always, never, and names that are none', async () => {
  const p = puller()
  p.runtime.control.addImage('here:1')
  p.runtime.control.serve('there:1')
  await p.ensure('here:1', 'IfNotPresent')
  await p.ensure('there:1', 'IfNotPresent')
  await assert.rejects(p.ensure('here:1', 'Always'), { reason: 'ErrImagePull' })
  await assert.rejects(p.ensure('nowhere:1', 'Never'), { reason: 'ErrImageNeverPull', message: 'Container image "nowhere:1" is not present with pull policy of Never' })
  await assert.rejects(p.ensure('Not A Name', 'Always'), { reason: 'InvalidImageName' })
  assert.deepStrictEqual(p.told, ['Pulled', 'Pulling', 'Pulled', 'Pulling', 'Failed', 'ErrImageNeverPull', 'InspectFailed'])
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
