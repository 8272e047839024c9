/** Devices that the scheduler gives out in the less plain ways, to real containers on a real node; their driver speaks gRPC. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { startTestDriver, type TestDriver } from '#agent/kubelet/dra/testing/driver.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const DRIVER = 'tunes.skiff-test.example'
const VENDOR = `skiff-test.example/tune${process.pid}`
const CDI = { directory: '/var/run/cdi', file: `/var/run/cdi/skiff-tune-${process.pid}.json` }

describe('devices that are given out', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let driver: TestDriver
  const node = (): LabHost => {
    const [host] = cluster.lab.hosts
    if (!host) throw new Error('the lab has no host')
    return host
  }
  const apply = (object: object) => cluster.must(['create', '-f', '-'], { input: JSON.stringify(object) })
  const get = (...what: string[]) => cluster.must(['get', ...what])
  const ready = (...names: string[]) => cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', ...names.map((name) => `pod/${name}`)], { timeoutMs: 70_000 })
  const remove = (...names: string[]) => cluster.must(['delete', 'pod', '--timeout=60s', ...names], { timeoutMs: 70_000 })
  const tune = async (name: string) => (await cluster.kubectl(['exec', name, '--', 'sh', '-c', 'echo $TUNE'])).stdout.trim()
  const whyNot = (name: string) => get('pod', name, '-o', 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}')
  const resource = (kind: string, name: string, spec: object) => ({ apiVersion: 'resource.k8s.io/v1', kind, metadata: { name }, spec })
  /** What the driver tells of its devices. */
  const tell = (...devices: object[]) => apply(resource('ResourceSlice', 'tunes', { driver: DRIVER, nodeName: node().name, pool: { name: node().name, generation: 1, resourceSliceCount: 1 }, devices }))
  const pod = (name: string, container: object, more: object = {}) => apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '3600'], ...container }], ...more } })
  /** Of a claim of its own name. */
  const user = (name: string, claimName = name, more: object = {}) => pod(name, { resources: { claims: [{ name: 'tune' }] } }, { resourceClaims: [{ name: 'tune', resourceClaimName: claimName }], ...more })

  before(async () => {
    mkdirSync(CDI.directory, { recursive: true })
    writeFileSync(CDI.file, JSON.stringify({ cdiVersion: '0.6.0', kind: VENDOR, devices: [{ name: 'box', containerEdits: { env: ['TUNE=played'] } }] }))
    cluster = await Cluster.create({ hosts: 1 })
    await apply(resource('DeviceClass', 'tunes', { selectors: [{ cel: { expression: `device.driver == "${DRIVER}"` } }] }))
    driver = await startTestDriver({ rootDir: join(node().dataDir, 'agent'), driver: DRIVER, devices: () => [{ pool: node().name, device: 'box', cdi: [`${VENDOR}=box`] }], clock: systemClock, log: silentLog })
    await until('the driver is registered', 20_000, () => Promise.resolve(driver.told.length === 1))
  })
  after(async () => {
    rmSync(CDI.file, { force: true })
    await driver.stop()
    await cluster.destroy()
  })

  it('pods share a device by its capacity; who finds too little left waits until some is given back', async () => {
    await tell({ name: 'box', allowMultipleAllocations: true, capacity: { voices: { value: '8', requestPolicy: { default: '2', validRange: { min: '2', step: '2' } } } } })
    for (const [name, voices] of [['one', '3'], ['two', '4'], ['three', '2']] as const) {
      await apply(resource('ResourceClaim', name, { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'tunes', capacity: { requests: { voices } } } }] } }))
      if (name === 'three') await ready('one', 'two')
      await user(name)
    }
    assert.deepStrictEqual(await Promise.all(['one', 'two'].map(tune)), ['played', 'played'])
    const results = await Promise.all(['one', 'two'].map(async (name) => (JSON.parse(await get('resourceclaim', name, '-o', 'json')) as { status: { allocation: { devices: { results: { device: string; shareID: string; consumedCapacity: object }[] } } } }).status.allocation.devices.results[0]))
    assert.deepStrictEqual(results.map((r) => [r?.device, r?.consumedCapacity]), [['box', { voices: '4' }], ['box', { voices: '4' }]])
    assert.equal(new Set(results.map((r) => r?.shareID)).size, 2)
    await until('the third is told why it waits', 20_000, async () => (await whyNot('three')).startsWith('0/1 nodes are available: 1 cannot allocate all claims.'))
    await remove('one')
    await ready('three')
    await remove('two', 'three')
    await cluster.must(['delete', 'resourceslice', 'tunes'])
  })
  it('a resource that a class has is asked for as any other; the claim for it goes with the pod', async () => {
    await apply(resource('DeviceClass', 'bulbs', { extendedResourceName: 'example.com/tune', selectors: [{ cel: { expression: `device.driver == "${DRIVER}"` } }] }))
    await tell({ name: 'box' })
    await pod('one', { resources: { limits: { 'example.com/tune': '1' } } })
    await ready('one')
    const [made] = (JSON.parse(await get('resourceclaims', '-o', 'json')) as { items: { metadata: { name: string } }[] }).items.map((c) => c.metadata.name).filter((name) => name.startsWith('one-'))
    assert.match(made ?? '', /^one-extended-resources-\w+$/)
    assert.equal(await get('pod', 'one', '-o', 'jsonpath={.status.extendedResourceClaimStatus.resourceClaimName} {.status.extendedResourceClaimStatus.requestMappings[*].requestName}'), `${made ?? ''} container-0-request-0`)
    assert.equal(await tune('one'), 'played')
    await pod('two', { resources: { limits: { 'deviceclass.resource.kubernetes.io/bulbs': '1' } } })
    await until('the other is told why it waits', 20_000, async () => (await whyNot('two')).startsWith('0/1 nodes are available: 1 cannot allocate all claims.'))
    await remove('one')
    await ready('two')
    assert.equal(await tune('two'), 'played')
    await remove('two')
    await until('their claims are gone', 20_000, async () => !(await get('resourceclaims', '-o', 'name')).includes('extended'))
    await cluster.must(['delete', 'resourceslice', 'tunes'])
    await cluster.must(['delete', 'deviceclass', 'bulbs'])
  })
  it('a device that its driver taints loses the pod that uses it, but not one that tolerates it', async () => {
    await tell({ name: 'box' }, { name: 'other' })
    const tolerations = [{ key: 'hot', operator: 'Exists', effect: 'NoExecute' }]
    for (const [name, more] of [['leaves', {}], ['stays', { tolerations }]] as const) {
      await apply(resource('ResourceClaim', name, { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'tunes', ...more } }] } }))
      await user(name)
    }
    await ready('leaves', 'stays')
    driver.calls.length = 0
    await cluster.must(['patch', 'resourceslice', 'tunes', '--type=merge', '-p', JSON.stringify({ spec: { devices: ['box', 'other'].map((name) => ({ name, taints: [{ key: 'hot', effect: 'NoExecute' }] })) } })])
    await cluster.must(['wait', '--for=delete', '--timeout=60s', 'pod/leaves'], { timeoutMs: 70_000 })
    assert.deepStrictEqual(driver.calls.map((call) => call.split(' ').slice(0, 2).join(' ')), ['unprepare default/leaves'])
    assert.match(await get('events', '--field-selector', 'involvedObject.name=leaves,reason=DeviceTaintManagerEviction', '-o', 'jsonpath={.items[*].message}'), /^Marking for deletion/)
    assert.equal(await get('pod', 'stays', '-o', 'jsonpath={.status.phase} {.metadata.deletionTimestamp}'), 'Running ')
    await remove('stays')
    await cluster.must(['delete', 'resourceslice', 'tunes'])
    await cluster.must(['delete', 'resourceclaims', 'leaves', 'stays'])
  })
  it('a pod is not bound before its driver says that the device is ready', async () => {
    await tell({ name: 'box', bindingConditions: ['tuned'], bindingFailureConditions: ['broken'] })
    await apply(resource('ResourceClaim', 'tuned', { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'tunes' } }] } }))
    await user('tuned')
    await until('it is told that it waits', 20_000, async () => (await get('events', '--field-selector', 'involvedObject.name=tuned,reason=BindingConditionsPending', '-o', 'jsonpath={.items[*].message}')) === `waiting for binding conditions for device on node ${node().name}`)
    assert.equal(await get('pod', 'tuned', '-o', 'jsonpath={.spec.nodeName}'), '')
    const conditions = [{ type: 'tuned', status: 'True', reason: 'Tuned', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }]
    await cluster.must(['patch', 'resourceclaim', 'tuned', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { devices: [{ driver: DRIVER, pool: node().name, device: 'box', conditions }] } })])
    await ready('tuned')
    assert.equal(await tune('tuned'), 'played')
    await remove('tuned')
    await cluster.must(['delete', 'resourceslice', 'tunes'])
  })
})
