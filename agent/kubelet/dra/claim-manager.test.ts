import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Pod, ResourceV1ResourceClaim, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { CodedError } from '#base/errors.ts'
import { createLog, type Log } from '#base/log.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import { metricsText } from '../stats/metrics-text.ts'
import { HEALTHS, type ReportedHealth } from './calls.ts'
import { openClaimManager, type ClaimManager } from './claim-manager.ts'
import type { ClaimRef } from './plugin.ts'

const [A, B] = ['a.example.com', 'b.example.com']

/** A node whose drivers are played; `restart` is what a kill leaves: the disk. */
async function node(t: TestContext, registered: string[] = [A, B]) {
  const directory = mkdtempSync(join(tmpdir(), 'claims-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const clock = new FakeClock()
  const calls: string[] = []
  const failures = new Map<string, string>()
  const holds = new Map<string, Promise<void>>()
  const ill: string[][] = []
  const logged: string[] = []
  const log: Log = createLog({ format: 'text', level: 'warn', nowMs: () => 0, write: (line) => logged.push(line) })
  let tell: (driver: string, devices: readonly ReportedHealth[] | undefined) => void = () => {}
  const answer = async <T>(method: string, driver: string, claims: readonly ClaimRef[], result: (claim: ClaimRef, error: string) => T) => {
    const call = `${method} ${driver} ${claims.map((c) => c.name).join(',')}`
    calls.push(call)
    // What a driver hears of is on disk by then.
    const kept = JSON.parse(readFileSync(join(directory, 'dra_manager_state'), 'utf8')) as { claims: { name: string }[] }
    for (const { name } of claims) assert.ok(kept.claims.some((c) => c.name === name), `${call}: not on disk`)
    await holds.get(method)
    const failure = failures.get(`${method} ${driver}`)
    failures.delete(`${method} ${driver}`)
    if (failure === 'skip') return new Map<string, T>()
    if (failure?.startsWith('call ')) throw new CodedError('DRA_CALL', failure.slice('call '.length))
    return new Map(claims.map((claim) => [claim.uid, result(claim, failure ?? '')]))
  }
  const drivers = {
    get(driver: string) {
      if (!registered.includes(driver)) throw new CodedError('DRA_UNREGISTERED', `DRA driver ${driver} is not registered`)
      return {
        prepare: (claims: readonly ClaimRef[]) => answer('prepare', driver, claims, ({ name }, error) => ({ devices: error === '' ? [{ requestNames: ['r'], poolName: 'p', deviceName: name, cdiDeviceIds: [`${driver}/lamp=${name}`], shareId: '' }] : [], error })),
        unprepare: (claims: readonly ClaimRef[]) => answer('unprepare', driver, claims, (_, error) => ({ error })),
      }
    },
    onHealth(listener: typeof tell) {
      tell = listener
      return () => { tell = () => {} }
    },
  }
  const open = () => openClaimManager({ directory, drivers, clock, log, onHealth: (uids) => { ill.push([...uids].toSorted()) } })
  let manager: ClaimManager = await open()
  return {
    directory, clock, calls, failures, holds, ill, logged, registered,
    tell: (driver: string, devices: readonly ReportedHealth[] | undefined) => tell(driver, devices),
    get manager() { return manager },
    async restart() {
      manager.close()
      manager = await open()
    },
    kept: () => (JSON.parse(readFileSync(join(directory, 'dra_manager_state'), 'utf8')) as { claims: { name: string; pods: string[] }[] }).claims.map(({ name, pods }) => `${name}: ${pods.join(',')}`),
  }
}

const claim = (name: string, users: string[], of: string[] = [A], uid = `uid-${name}`): Stored<ResourceV1ResourceClaim> => ({
  metadata: { name, namespace: 'default', uid, resourceVersion: '1', creationTimestamp: '' }, spec: {},
  status: { allocation: { devices: { results: of.map((driver) => ({ driver, pool: 'p', device: name, request: 'r' })) } }, reservedFor: users.map((user) => ({ resource: 'pods', name: user, uid: user })) },
})
const pod = (uid: string, ...names: string[]): Stored<Pod> => aPod({ resourceClaims: names.map((name) => ({ name: `my-${name}`, resourceClaimName: name })), containers: [aContainer('app', { resources: { claims: names.map((name) => ({ name: `my-${name}` })) } })] }, { name: uid, uid })
const APP = (of: Stored<Pod>) => of.spec?.containers[0] ?? aContainer('app')
const reader = (...all: Stored<ResourceV1ResourceClaim>[]) => (name: string) => Promise.resolve(all.find((c) => c.metadata.name === name))

test('claims are prepared by each of their drivers, all of one at once; their devices are the container\'s, and they are unprepared', async (t) => {
  const n = await node(t)
  const p = pod('u1', 'one', 'two')
  assert.throws(() => n.manager.forContainer(p, APP(p)), { message: 'internal error: unable to get claim info for ResourceClaim one in namespace default' })
  await n.manager.prepare(p, reader(claim('one', ['u1'], [A, B]), claim('two', ['u1'])))
  assert.deepEqual(n.calls, [`prepare ${A} one,two`, `prepare ${B} one`])
  assert.deepEqual(n.manager.forContainer(p, APP(p)), [`${A}/lamp=one`, `${B}/lamp=one`, `${A}/lamp=two`])
  assert.deepEqual(n.manager.resourcesOf(p, APP(p))[1], { claimName: 'two', claimNamespace: 'default', claimResources: [{ cdiDevices: [{ name: `${A}/lamp=two` }], driverName: A, poolName: 'p', deviceName: 'two', shareId: '' }] })
  assert.deepEqual([n.manager.holds('u1'), n.manager.holds('u2'), n.kept()], [true, false, ['one: u1', 'two: u1']])
  const text = metricsText(n.manager.metrics())
  for (const line of ['dra_resource_claims_in_use{driver_name="<any>"} 2', `dra_resource_claims_in_use{driver_name="${A}"} 2`, `dra_resource_claims_in_use{driver_name="${B}"} 1`, 'dra_operations_duration_seconds_count{is_error="false",operation_name="PrepareResources"} 1']) assert.ok(text.includes(line), text)
  await n.manager.unprepare('u1')
  assert.deepEqual([n.calls.slice(2), n.manager.holds('u1'), n.kept()], [[`unprepare ${A} one,two`, `unprepare ${B} one`], false, []])
  assert.ok(metricsText(n.manager.metrics()).includes('dra_resource_claims_in_use{driver_name="<any>"} 0'))
})

test('a pod whose claims are not in order is told why, and leaves nothing to undo', async (t) => {
  const n = await node(t, [A])
  const p = pod('u1', 'one', 'two')
  const fails = (message: string, ...all: Stored<ResourceV1ResourceClaim>[]) => assert.rejects(n.manager.prepare(p, reader(claim('one', ['u1']), ...all)), { code: 'CLAIMS_UNPREPARED', message })
  await fails('prepare dynamic resources: fetch ResourceClaim two: resourceclaims.resource.k8s.io "two" not found')
  await fails('prepare dynamic resources: pod u1 (u1) is not allowed to use ResourceClaim two (uid-two)', claim('two', ['u2']))
  await fails(`prepare dynamic resources: DRA driver ${B} is not registered`, claim('two', ['u1'], [B]))
  await assert.rejects(n.manager.prepare(p, () => Promise.reject(new Error('the server is away'))), { message: 'prepare dynamic resources: fetch ResourceClaim one: the server is away' })
  assert.deepEqual([n.calls, n.manager.holds('u1'), existsSync(join(n.directory, 'dra_manager_state'))], [[], false, false])
})

test('what a driver refuses or leaves out fails the pod\'s start in upstream\'s words, and is asked for again', async (t) => {
  const n = await node(t)
  const p = pod('u1', 'one')
  const again = () => n.manager.prepare(p, reader(claim('one', ['u1'])))
  for (const [failure, message] of [['call rpc error: code = Unknown desc = no', 'NodePrepareResources: rpc error: code = Unknown desc = no'], ['skip', 'NodePrepareResources skipped 1 ResourceClaims'], ['no lamp', 'NodePrepareResources failed for ResourceClaim one: no lamp']] as const) {
    n.failures.set(`prepare ${A}`, failure)
    await assert.rejects(again(), { message: `prepare dynamic resources: ${message}` })
  }
  assert.equal(n.manager.holds('u1'), true)
  await again()
  assert.deepEqual(n.manager.forContainer(p, APP(p)), [`${A}/lamp=one`])
  n.failures.set(`unprepare ${A}`, 'busy')
  await assert.rejects(n.manager.unprepare('u1'), { code: 'CLAIMS_UNPREPARED', message: 'unprepare dynamic resources: NodeUnprepareResources failed for ResourceClaim one: busy' })
  assert.deepEqual([n.manager.holds('u1'), n.kept()], [true, ['one: u1']])
  await n.manager.unprepare('u1')
  assert.equal(n.manager.holds('u1'), false)
})

test('a claim of several pods is prepared once, and unprepared with the last of them', async (t) => {
  const n = await node(t)
  const read = reader(claim('one', ['u1', 'u2']))
  await Promise.all([n.manager.prepare(pod('u1', 'one'), read), n.manager.prepare(pod('u2', 'one'), read)])
  await n.manager.unprepare('u1')
  assert.deepEqual([n.calls, n.kept()], [[`prepare ${A} one`], ['one: u2']])
  // One that was never prepared takes nothing from others.
  await n.manager.unprepare('u3')
  await n.manager.unprepare('u2')
  assert.deepEqual([n.calls, n.kept()], [[`prepare ${A} one`, `unprepare ${A} one`], []])
})

test('a pod that comes while its claim is being unprepared has it prepared anew', async (t) => {
  const n = await node(t)
  const read = reader(claim('one', ['u1', 'u2']))
  await n.manager.prepare(pod('u1', 'one'), read)
  const { promise, resolve } = Promise.withResolvers<void>()
  n.holds.set('unprepare', promise)
  const leaving = n.manager.unprepare('u1')
  const coming = n.manager.prepare(pod('u2', 'one'), read)
  resolve()
  await Promise.all([leaving, coming])
  assert.deepEqual([n.calls, n.kept()], [[`prepare ${A} one`, `unprepare ${A} one`, `prepare ${A} one`], ['one: u2']])
})

test('another claim of the same name waits until the first is gone', async (t) => {
  const n = await node(t)
  await n.manager.prepare(pod('u1', 'one'), reader(claim('one', ['u1'])))
  const young = reader(claim('one', ['u2'], [A], 'young'))
  await assert.rejects(n.manager.prepare(pod('u2', 'one'), young), { message: 'prepare dynamic resources: old ResourceClaim with same name one and different UID uid-one still exists (previous pod force-deleted?!)' })
  await n.manager.unprepare('u1')
  await n.manager.prepare(pod('u2', 'one'), young)
  assert.deepEqual(n.kept(), ['one: u2'])
})

test('after a restart running pods keep their devices; what is started anew is prepared anew, and what is gone is unprepared', async (t) => {
  const n = await node(t)
  const [staying, going] = [pod('u1', 'one'), pod('u2', 'two')]
  const read = reader(claim('one', ['u1', 'u3']), claim('two', ['u2']))
  await n.manager.prepare(staying, read)
  await n.manager.prepare(going, read)
  n.calls.length = 0
  await n.restart()
  assert.deepEqual([n.manager.holdsAll(staying), n.manager.forContainer(staying, APP(staying)), n.manager.holds('u2')], [true, [`${A}/lamp=one`], true])
  n.failures.set(`unprepare ${A}`, 'busy')
  await n.manager.reconcile(new Set(['u1']))
  assert.deepEqual([n.manager.holds('u2'), n.logged.length], [true, 1])
  await n.manager.reconcile(new Set(['u1']))
  await n.manager.prepare(pod('u3', 'one'), read)
  assert.deepEqual(n.calls, [`unprepare ${A} two`, `unprepare ${A} two`, `prepare ${A} one`])
  assert.deepEqual([n.manager.forContainer(staying, APP(staying)), n.kept()], [[`${A}/lamp=one`], ['one: u1,u3']])
})

for (const [what, spoil] of [['torn', (text: string) => text.slice(0, text.length / 2)], ['changed', (text: string) => text.replace('uid-one', 'uid-two')], ['empty', () => '']] as const) {
  test(`a record that is ${what} is set aside with one error, and made anew by the pods that are here`, async (t) => {
    const n = await node(t)
    const p = pod('u1', 'one')
    await n.manager.prepare(p, reader(claim('one', ['u1'])))
    const file = join(n.directory, 'dra_manager_state')
    writeFileSync(file, spoil(readFileSync(file, 'utf8')))
    await n.restart()
    assert.equal(n.logged.length, 1)
    assert.match(n.logged[0] ?? '', /damaged and was set aside/)
    assert.deepEqual([n.manager.holdsAll(p), existsSync(`${file}.damaged`)], [false, true])
    await n.manager.prepare(p, reader(claim('one', ['u1'])))
    assert.deepEqual([n.manager.holdsAll(p), n.kept()], [true, ['one: u1']])
  })
}

test('a pod that goes while its driver thinks leaves a claim that is unprepared', async (t) => {
  const n = await node(t)
  const { promise, resolve } = Promise.withResolvers<void>()
  n.holds.set('prepare', promise)
  const coming = n.manager.prepare(pod('u1', 'one'), reader(claim('one', ['u1'])))
  n.failures.set(`prepare ${A}`, 'call cancelled')
  const leaving = n.clock.advance(0).then(() => n.manager.unprepare('u1'))
  resolve()
  await assert.rejects(coming)
  await leaving
  await n.manager.unprepare('u1')
  assert.deepEqual([n.calls, n.manager.holds('u1')], [[`prepare ${A} one`, `unprepare ${A} one`], false])
})

test('those who have devices of a driver are looked at when one of them is not as it was, and when nothing is heard of it any more', async (t) => {
  const n = await node(t)
  const p = pod('u1', 'one')
  await n.manager.prepare(p, reader(claim('one', ['u1'])))
  const told = (health: (typeof HEALTHS)[number]) => [{ device: { poolName: 'p', deviceName: 'one' }, health: HEALTHS.indexOf(health), lastUpdatedTime: 0, healthCheckTimeoutSeconds: 0, message: '' }]
  const shown = () => n.manager.statuses(p).get('app')
  const status = (health: string) => [{ name: 'claim:my-one', resources: [{ resourceID: `${A}/lamp=one`, health }] }]
  assert.deepEqual(shown(), status('Unknown'))
  n.tell(A, told('Healthy'))
  assert.deepEqual(shown(), status('Healthy'))
  n.tell(A, told('Healthy'))
  assert.deepEqual(n.ill, [['u1']])
  n.tell(A, told('Unhealthy'))
  n.tell(A, undefined)
  assert.deepEqual([n.ill.length, shown()], [3, status('Unknown')])
  n.tell(A, told('Healthy'))
  await n.clock.advance(30_001)
  assert.deepEqual([n.ill.length, shown()], [5, status('Unknown')])
  n.tell(B, told('Unhealthy'))
  assert.deepEqual(n.ill.at(-1), [])
})
