/** Claims for devices (DRA) on a real node: drivers over gRPC prepare them, their devices (CDI) are seen inside real containers, and all is given back. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import type { TestDriver } from '#agent/kubelet/dra/testing/driver.ts'
import { LIST } from '#agent/kubelet/pod-resources/calls.ts'
import { until } from '../lab/cluster.ts'
import { DeviceHost } from './device-host.ts'

const DRIVER = 'tunes.skiff-test.example'
const TUNE = `skiff-test.example/tune${process.pid}`
const OF_TUNES = [{ cel: { expression: `device.driver == "${DRIVER}"` } }]

const LAMPS = 'lamps.skiff-test.example'
const LAMP = `skiff-test.example/lamp${process.pid}`
/** Its device is /dev/fuse's, which no container may open by default. */
const NODE = `/dev/skiff-lamp-${process.pid}`
const COLOURS = ['red', 'blue']

const container = (name: string, command: string, ...requests: (string | undefined)[]) => ({ name, image: 'busybox:1', command: ['sh', '-c', command], resources: { claims: requests.map((request) => ({ name: 'lamp', ...(request !== undefined && { request }) })) } })

let host: DeviceHost
before(async () => { host = await DeviceHost.create() })
after(async () => { await host.destroy() })

describe('devices that the scheduler gives out in the less plain ways', { timeout: 600_000 }, () => {
  let driver: TestDriver
  const tune = async (name: string) => (await host.cluster.kubectl(['exec', name, '--', 'sh', '-c', 'echo $TUNE'])).stdout.trim()
  /** What the driver tells of its devices. */
  const tell = (...devices: object[]) => host.slice('tunes', DRIVER, devices)
  const pod = (name: string, of: object, more: object = {}) => host.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '3600'], ...of }], ...more } })
  /** Of a claim of its own name. */
  const user = (name: string, claimName = name, more: object = {}) => pod(name, { resources: { claims: [{ name: 'tune' }] } }, { resourceClaims: [{ name: 'tune', resourceClaimName: claimName }], ...more })

  before(async () => {
    await host.resource('DeviceClass', 'tunes', { selectors: OF_TUNES })
    driver = await host.addDriver({ driver: DRIVER, devices: () => [{ pool: host.node.name, device: 'box', cdi: [`${TUNE}=box`] }], vendor: TUNE, cdi: [{ name: 'box', containerEdits: { env: ['TUNE=played'] } }] })
  })

  it('pods share a device by its capacity; who finds too little left waits until some is given back', async () => {
    await tell({ name: 'box', allowMultipleAllocations: true, capacity: { voices: { value: '8', requestPolicy: { default: '2', validRange: { min: '2', step: '2' } } } } })
    for (const [name, voices] of [['one', '3'], ['two', '4'], ['three', '2']] as const) {
      await host.resource('ResourceClaim', name, { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'tunes', capacity: { requests: { voices } } } }] } })
      if (name === 'three') await host.ready('one', 'two')
      await user(name)
    }
    assert.deepStrictEqual(await Promise.all(['one', 'two'].map(tune)), ['played', 'played'])
    const results = await Promise.all(['one', 'two'].map(async (name) => (JSON.parse(await host.get('resourceclaim', name, '-o', 'json')) as { status: { allocation: { devices: { results: { device: string; shareID: string; consumedCapacity: object }[] } } } }).status.allocation.devices.results[0]))
    assert.deepStrictEqual(results.map((r) => [r?.device, r?.consumedCapacity]), [['box', { voices: '4' }], ['box', { voices: '4' }]])
    assert.equal(new Set(results.map((r) => r?.shareID)).size, 2)
    await host.untilToldWhyNot('three')
    await host.remove('one')
    await host.ready('three')
    await host.remove('two', 'three')
    await host.cluster.must(['delete', 'resourceslice', 'tunes'])
  })
  it('a resource that a class has is asked for as any other; the claim for it goes with the pod', async () => {
    await host.resource('DeviceClass', 'bulbs', { extendedResourceName: 'example.com/tune', selectors: OF_TUNES })
    await tell({ name: 'box' })
    await pod('one', { resources: { limits: { 'example.com/tune': '1' } } })
    await host.ready('one')
    const [made] = (JSON.parse(await host.get('resourceclaims', '-o', 'json')) as { items: { metadata: { name: string } }[] }).items.map((c) => c.metadata.name).filter((name) => name.startsWith('one-'))
    assert.match(made ?? '', /^one-extended-resources-\w+$/)
    assert.equal(await host.get('pod', 'one', '-o', 'jsonpath={.status.extendedResourceClaimStatus.resourceClaimName} {.status.extendedResourceClaimStatus.requestMappings[*].requestName}'), `${made ?? ''} container-0-request-0`)
    assert.equal(await tune('one'), 'played')
    await pod('two', { resources: { limits: { 'deviceclass.resource.kubernetes.io/bulbs': '1' } } })
    await host.untilToldWhyNot('two')
    await host.remove('one')
    await host.ready('two')
    assert.equal(await tune('two'), 'played')
    await host.remove('two')
    await until('their claims are gone', 20_000, async () => !(await host.get('resourceclaims', '-o', 'name')).includes('extended'))
    await host.cluster.must(['delete', 'resourceslice', 'tunes'])
    await host.cluster.must(['delete', 'deviceclass', 'bulbs'])
  })
  it('a device that its driver taints loses the pod that uses it, but not one that tolerates it', async () => {
    await tell({ name: 'box' }, { name: 'other' })
    const tolerations = [{ key: 'hot', operator: 'Exists', effect: 'NoExecute' }]
    for (const [name, more] of [['leaves', {}], ['stays', { tolerations }]] as const) {
      await host.resource('ResourceClaim', name, { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'tunes', ...more } }] } })
      await user(name)
    }
    await host.ready('leaves', 'stays')
    driver.calls.length = 0
    await host.cluster.must(['patch', 'resourceslice', 'tunes', '--type=merge', '-p', JSON.stringify({ spec: { devices: ['box', 'other'].map((name) => ({ name, taints: [{ key: 'hot', effect: 'NoExecute' }] })) } })])
    await host.cluster.must(['wait', '--for=delete', '--timeout=60s', 'pod/leaves'], { timeoutMs: 70_000 })
    assert.deepStrictEqual(driver.calls.map((call) => call.split(' ').slice(0, 2).join(' ')), ['unprepare default/leaves'])
    assert.match(await host.get('events', '--field-selector', 'involvedObject.name=leaves,reason=DeviceTaintManagerEviction', '-o', 'jsonpath={.items[*].message}'), /^Marking for deletion/)
    assert.equal(await host.get('pod', 'stays', '-o', 'jsonpath={.status.phase} {.metadata.deletionTimestamp}'), 'Running ')
    await host.remove('stays')
    await host.cluster.must(['delete', 'resourceslice', 'tunes'])
    await host.cluster.must(['delete', 'resourceclaims', 'leaves', 'stays'])
  })
  it('a pod is not bound before its driver says that the device is ready', async () => {
    await tell({ name: 'box', bindingConditions: ['tuned'], bindingFailureConditions: ['broken'] })
    await host.resource('ResourceClaim', 'tuned', { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'tunes' } }] } })
    await user('tuned')
    await until('it is told that it waits', 20_000, async () => (await host.get('events', '--field-selector', 'involvedObject.name=tuned,reason=BindingConditionsPending', '-o', 'jsonpath={.items[*].message}')) === `waiting for binding conditions for device on node ${host.node.name}`)
    assert.equal(await host.get('pod', 'tuned', '-o', 'jsonpath={.spec.nodeName}'), '')
    const conditions = [{ type: 'tuned', status: 'True', reason: 'Tuned', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }]
    await host.cluster.must(['patch', 'resourceclaim', 'tuned', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { devices: [{ driver: DRIVER, pool: host.node.name, device: 'box', conditions }] } })])
    await host.ready('tuned')
    assert.equal(await tune('tuned'), 'played')
    await host.remove('tuned')
    await host.cluster.must(['delete', 'resourceslice', 'tunes'])
  })
})

describe('claims that, but for one test, are allocated by hand', { timeout: 600_000 }, () => {
  let lamps: TestDriver
  const inPod = async (name: string, of: string, script: string) => (await host.cluster.kubectl(['exec', name, '-c', of, '--', 'sh', '-c', `${script} 2>&1`])).stdout.trim()
  const phase = (name: string) => host.get('pod', name, '-o', 'jsonpath={.status.phase}')
  const calls = () => lamps.calls.map((call) => call.split(' ').slice(0, 2).join(' '))
  /** As a scheduler does. */
  const allocate = async (name: string) => {
    const results = COLOURS.map((colour) => ({ driver: LAMPS, pool: host.node.name, device: colour, request: colour }))
    await host.cluster.must(['patch', 'resourceclaim', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { allocation: { devices: { results } } } })])
  }
  const claimSpec = { devices: { requests: COLOURS.map((name) => ({ name, exactly: { deviceClassName: 'lamps' } })) } }
  const claim = async (name: string) => {
    await host.resource('ResourceClaim', name, claimSpec)
    await allocate(name)
  }
  const pod = (name: string, containers: object[], resourceClaim: object = { resourceClaimName: name }, more: object = {}) => host.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { nodeName: host.node.name, terminationGracePeriodSeconds: 1, resourceClaims: [{ name: 'lamp', ...resourceClaim }], containers, ...more } })
  const slice = (driver: string) => host.slice(driver, driver, COLOURS.map((name) => ({ name })))

  before(async () => {
    execFileSync('mknod', ['-m', '666', NODE, 'c', '10', '229'])
    await host.resource('DeviceClass', 'lamps', {})
    lamps = await host.addDriver({
      driver: LAMPS, tellsHealth: true, devices: () => COLOURS.map((device) => ({ pool: host.node.name, device, requests: [device], cdi: [`${LAMP}=${device}`] })),
      vendor: LAMP, cdi: COLOURS.map((name) => ({ name, containerEdits: { env: [`LAMP_${name.toUpperCase()}=on`], ...(name === 'red' && { deviceNodes: [{ path: '/dev/lamp', hostPath: NODE }] }) } })),
    })
    assert.deepStrictEqual(lamps.told, [''])
  })
  after(() => { rmSync(NODE, { force: true }) })

  it('a container sees the devices of what it names, the pod\'s status tells how they are, monitors are told whose they are', async () => {
    await claim('lamps')
    await pod('lamps', [container('red', 'until test -e /tmp/end; do sleep 0.1; done', 'red'), container('both', 'sleep 3600', undefined), container('none', 'sleep 3600')])
    await host.ready('lamps')
    const seen = 'echo ${LAMP_RED-off} ${LAMP_BLUE-off}; test -c /dev/lamp && (: <> /dev/lamp; echo $?)'
    assert.deepStrictEqual(await Promise.all(['red', 'both', 'none'].map((of) => inPod('lamps', of, seen))), ['on off\n0', 'on on\n0', 'off off'])
    assert.deepStrictEqual(calls(), ['prepare default/lamps'])

    const resources = (healths: readonly string[]) => healths.map((health, i) => ({ health, resourceID: `${LAMP}=${COLOURS[i]}` }))
    const health = async () => Object.fromEntries((JSON.parse(await host.get('pod', 'lamps', '-o', 'json')) as { status: { containerStatuses: { name: string; allocatedResourcesStatus?: object[] }[] } }).status.containerStatuses.map((s) => [s.name, s.allocatedResourcesStatus]))
    lamps.tellHealth([{ pool: host.node.name, device: 'red', health: 'Healthy' }, { pool: host.node.name, device: 'blue', health: 'Unhealthy', message: 'broken glass' }])
    await until('the status tells', 20_000, async () => JSON.stringify((await health())['both']).includes('Unhealthy'))
    const [red, blue] = resources(['Healthy', 'Unhealthy'])
    assert.deepStrictEqual(await health(), { red: [{ name: 'claim:lamp/red', resources: [red] }], both: [{ name: 'claim:lamp', resources: [red, { ...blue, message: 'broken glass' }] }], none: undefined })

    const monitor = new GrpcClient({ endpoint: { socketPath: join(host.node.dataDir, 'agent', 'pod-resources', 'kubelet.sock') }, peer: 'the kubelet', clock: systemClock })
    const { podResources } = await monitor.unary(LIST, {}, { timeoutMs: 5_000 })
    monitor.close()
    const claimResources = COLOURS.map((colour) => ({ cdiDevices: [{ name: `${LAMP}=${colour}` }], driverName: LAMPS, poolName: host.node.name, deviceName: colour, shareId: '' }))
    assert.deepStrictEqual(podResources[0]?.containers.map((c) => c.dynamicResources), [[{ claimName: 'lamps', claimNamespace: 'default', claimResources }], [{ claimName: 'lamps', claimNamespace: 'default', claimResources }], []])
  })

  it('kill -9 of the agent takes nothing from a running pod, and a container that begins again has its devices', async () => {
    await host.cluster.stop(host.node, 'SIGKILL')
    assert.match(readFileSync(join(host.node.dataDir, 'agent', 'dra_manager_state'), 'utf8'), /"name":"lamps"/)
    host.cluster.start(host.node)
    await host.cluster.waitForNodes()
    await until('the driver is asked to register again', 20_000, () => Promise.resolve(lamps.told.length >= 2))
    await inPod('lamps', 'red', 'touch /tmp/end')
    await until('its container has begun again', 30_000, async () => (await host.get('pod', 'lamps', '-o', 'jsonpath={range .status.containerStatuses[?(@.name=="red")]}{.restartCount}{.state.running.startedAt}{end}')).startsWith('12'))
    assert.equal(await inPod('lamps', 'red', 'echo $LAMP_RED ${LAMP_BLUE-off}'), 'on off')
    assert.deepStrictEqual(calls(), ['prepare default/lamps'], 'nothing is prepared anew')

    await host.remove('lamps')
    assert.deepStrictEqual(calls(), ['prepare default/lamps', 'unprepare default/lamps'])
  })

  it('what cannot be prepared keeps its pod from starting and is told; kill -9 while the driver thinks: it is asked again, and undone once', async () => {
    lamps.calls.length = 0
    lamps.failNext('prepare', { claim: 'no bulb' })
    await claim('late')
    await pod('late', [container('main', 'sleep 3600', undefined)])
    await until('it is told', 20_000, async () => (await host.get('events', '-o', 'jsonpath={.items[*].message}')).includes('Failed to prepare dynamic resources: prepare dynamic resources: NodePrepareResources failed for ResourceClaim late: no bulb'))
    assert.equal(await host.get('pod', 'late', '-o', 'jsonpath={.status.phase} {.status.containerStatuses[0].state.waiting.reason}'), 'Pending ContainerCreating')
    const release = lamps.block('prepare')
    await until('the driver is asked again', 30_000, () => Promise.resolve(lamps.calls.length === 2))
    await host.cluster.stop(host.node, 'SIGKILL')
    release()
    host.cluster.start(host.node)
    await host.cluster.waitForNodes()
    await host.ready('late')
    assert.equal(await inPod('late', 'main', 'echo $LAMP_RED'), 'on')
    await host.remove('late')
    assert.deepStrictEqual(calls(), ['prepare default/late', 'prepare default/late', 'prepare default/late', 'unprepare default/late'])
  })

  it('a pod made from a template ends when its claim was given back, not before', async () => {
    lamps.calls.length = 0
    await host.resource('ResourceClaimTemplate', 'lamps', { spec: claimSpec })
    await pod('short', [container('main', 'test $LAMP_BLUE = on', undefined)], { resourceClaimTemplateName: 'lamps' }, { restartPolicy: 'Never' })
    const made = () => host.get('pod', 'short', '-o', 'jsonpath={.status.resourceClaimStatuses[0].resourceClaimName}')
    await until('its claim is made', 20_000, async () => (await made()) !== '')
    const release = lamps.block('unprepare')
    await allocate(await made())
    await until('it is given back', 60_000, () => Promise.resolve(lamps.calls.length === 2))
    assert.notEqual(await phase('short'), 'Succeeded')
    release()
    await until('it has ended', 20_000, async () => (await phase('short')) === 'Succeeded')
    assert.match(lamps.calls.join(), /^prepare default\/short-lamp-\w+ \S+,unprepare default\/short-lamp-\w+ \S+$/)
  })

  it('the scheduler gives a claim devices that its driver tells of; another waits until they are given back', async () => {
    lamps.calls.length = 0
    // What was allocated by hand is taken back by hand.
    await host.cluster.must(['delete', 'resourceclaims', '--all', '--timeout=60s'], { timeoutMs: 70_000 })
    await slice(LAMPS)
    for (const name of ['first', 'second']) {
      await host.resource('ResourceClaim', name, claimSpec)
      await host.apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { terminationGracePeriodSeconds: 1, resourceClaims: [{ name: 'lamp', resourceClaimName: name }], containers: [container('main', 'sleep 3600', undefined)] } })
      if (name === 'first') await host.ready(name)
    }
    assert.equal(await inPod('first', 'main', 'echo $LAMP_RED $LAMP_BLUE'), 'on on')
    await host.untilToldWhyNot('second')
    await host.remove('first')
    await host.ready('second')
    assert.deepStrictEqual(calls(), ['prepare default/first', 'unprepare default/first', 'prepare default/second'])
    await host.remove('second')
    await host.cluster.must(['delete', 'resourceslice', LAMPS])
  })

  it('what the cluster was told of the devices of a driver that is not here is deleted when the agent starts', async () => {
    await slice('gone.skiff-test.example')
    await host.cluster.stop(host.node, 'SIGKILL')
    host.cluster.start(host.node)
    await host.cluster.waitForNodes()
    await until('it is deleted', 30_000, async () => (await host.get('resourceslices', '-o', 'name')) === '')
  })
})
