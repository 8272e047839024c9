/** Resource claims (DRA) on a real node: a driver over gRPC prepares them, its devices (CDI) are seen inside real containers, and all is given back. But for one test, claims are allocated by hand. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { silentLog } from '#base/log.ts'
import { startTestDriver, type TestDriver } from '#agent/kubelet/dra/testing/driver.ts'
import { LIST } from '#agent/kubelet/pod-resources/calls.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const DRIVER = 'lamps.skiff-test.example'
const VENDOR = `skiff-test.example/lamp${process.pid}`
/** Its device is /dev/fuse's, which no container may open by default. */
const NODE = `/dev/skiff-lamp-${process.pid}`
const CDI = { directory: '/var/run/cdi', file: `/var/run/cdi/skiff-lamp-${process.pid}.json` }
const COLOURS = ['red', 'blue']

const container = (name: string, command: string, ...requests: (string | undefined)[]) => ({ name, image: 'busybox:1', command: ['sh', '-c', command], resources: { claims: requests.map((request) => ({ name: 'lamp', ...(request !== undefined && { request }) })) } })

describe('resource claims', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let driver: TestDriver
  const node = (): LabHost => {
    const [host] = cluster.lab.hosts
    if (!host) throw new Error('the lab has no host')
    return host
  }
  const apply = (object: object) => cluster.must(['create', '-f', '-'], { input: JSON.stringify(object) })
  const get = (...what: string[]) => cluster.must(['get', ...what])
  const ready = (name: string) => cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', `pod/${name}`], { timeoutMs: 70_000 })
  const inPod = async (name: string, of: string, script: string) => (await cluster.kubectl(['exec', name, '-c', of, '--', 'sh', '-c', `${script} 2>&1`])).stdout.trim()
  const phase = (name: string) => get('pod', name, '-o', 'jsonpath={.status.phase}')
  const calls = () => driver.calls.map((call) => call.split(' ').slice(0, 2).join(' '))
  /** As a scheduler does. */
  const allocate = async (name: string) => {
    const results = COLOURS.map((colour) => ({ driver: DRIVER, pool: node().name, device: colour, request: colour }))
    await cluster.must(['patch', 'resourceclaim', name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { allocation: { devices: { results } } } })])
  }
  const claimSpec = { devices: { requests: COLOURS.map((name) => ({ name, exactly: { deviceClassName: 'lamps' } })) } }
  const claim = async (name: string) => {
    await apply({ apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name }, spec: claimSpec })
    await allocate(name)
  }
  const pod = (name: string, containers: object[], resourceClaim: object = { resourceClaimName: name }, more: object = {}) => apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { nodeName: node().name, terminationGracePeriodSeconds: 1, resourceClaims: [{ name: 'lamp', ...resourceClaim }], containers, ...more } })
  const slice = (driverName: string, ...devices: string[]) => apply({ apiVersion: 'resource.k8s.io/v1', kind: 'ResourceSlice', metadata: { name: driverName }, spec: { driver: driverName, nodeName: node().name, pool: { name: node().name, generation: 1, resourceSliceCount: 1 }, devices: devices.map((name) => ({ name })) } })

  before(async () => {
    execFileSync('mknod', ['-m', '666', NODE, 'c', '10', '229'])
    mkdirSync(CDI.directory, { recursive: true })
    const devices = COLOURS.map((name) => ({ name, containerEdits: { env: [`LAMP_${name.toUpperCase()}=on`], ...(name === 'red' && { deviceNodes: [{ path: '/dev/lamp', hostPath: NODE }] }) } }))
    writeFileSync(CDI.file, JSON.stringify({ cdiVersion: '0.6.0', kind: VENDOR, devices }))
    cluster = await Cluster.create({ hosts: 1 })
    await apply({ apiVersion: 'resource.k8s.io/v1', kind: 'DeviceClass', metadata: { name: 'lamps' }, spec: {} })
    driver = await startTestDriver({ rootDir: join(node().dataDir, 'agent'), driver: DRIVER, tellsHealth: true, devices: () => COLOURS.map((device) => ({ pool: node().name, device, requests: [device], cdi: [`${VENDOR}=${device}`] })), clock: systemClock, log: silentLog })
    await until('the driver is registered', 20_000, () => Promise.resolve(driver.told.length === 1))
    assert.deepStrictEqual(driver.told, [''])
  })
  after(async () => {
    rmSync(NODE, { force: true })
    rmSync(CDI.file, { force: true })
    await driver.stop()
    await cluster.destroy()
  })

  it('a container sees the devices of what it names, the pod\'s status tells how they are, monitors are told whose they are', async () => {
    await claim('lamps')
    await pod('lamps', [container('red', 'until test -e /tmp/end; do sleep 0.1; done', 'red'), container('both', 'sleep 3600', undefined), container('none', 'sleep 3600')])
    await ready('lamps')
    const seen = 'echo ${LAMP_RED-off} ${LAMP_BLUE-off}; test -c /dev/lamp && (: <> /dev/lamp; echo $?)'
    assert.deepStrictEqual(await Promise.all(['red', 'both', 'none'].map((of) => inPod('lamps', of, seen))), ['on off\n0', 'on on\n0', 'off off'])
    assert.deepStrictEqual(calls(), ['prepare default/lamps'])

    const resources = (healths: readonly string[]) => healths.map((health, i) => ({ health, resourceID: `${VENDOR}=${COLOURS[i]}` }))
    const health = async () => Object.fromEntries((JSON.parse(await get('pod', 'lamps', '-o', 'json')) as { status: { containerStatuses: { name: string; allocatedResourcesStatus?: object[] }[] } }).status.containerStatuses.map((s) => [s.name, s.allocatedResourcesStatus]))
    driver.tellHealth([{ pool: node().name, device: 'red', health: 'Healthy' }, { pool: node().name, device: 'blue', health: 'Unhealthy', message: 'broken glass' }])
    await until('the status tells', 20_000, async () => JSON.stringify((await health())['both']).includes('Unhealthy'))
    const [red, blue] = resources(['Healthy', 'Unhealthy'])
    assert.deepStrictEqual(await health(), { red: [{ name: 'claim:lamp/red', resources: [red] }], both: [{ name: 'claim:lamp', resources: [red, { ...blue, message: 'broken glass' }] }], none: undefined })

    const monitor = new GrpcClient({ endpoint: { socketPath: join(node().dataDir, 'agent', 'pod-resources', 'kubelet.sock') }, peer: 'the kubelet', clock: systemClock })
    const { podResources } = await monitor.unary(LIST, {}, { timeoutMs: 5_000 })
    monitor.close()
    const claimResources = COLOURS.map((colour) => ({ cdiDevices: [{ name: `${VENDOR}=${colour}` }], driverName: DRIVER, poolName: node().name, deviceName: colour, shareId: '' }))
    assert.deepStrictEqual(podResources[0]?.containers.map((c) => c.dynamicResources), [[{ claimName: 'lamps', claimNamespace: 'default', claimResources }], [{ claimName: 'lamps', claimNamespace: 'default', claimResources }], []])
  })

  it('kill -9 of the agent takes nothing from a running pod, and a container that begins again has its devices', async () => {
    await cluster.stop(node(), 'SIGKILL')
    assert.match(readFileSync(join(node().dataDir, 'agent', 'dra_manager_state'), 'utf8'), /"name":"lamps"/)
    cluster.start(node())
    await cluster.waitForNodes()
    await until('the driver is asked to register again', 20_000, () => Promise.resolve(driver.told.length >= 2))
    await inPod('lamps', 'red', 'touch /tmp/end')
    await until('its container has begun again', 30_000, async () => (await get('pod', 'lamps', '-o', 'jsonpath={range .status.containerStatuses[?(@.name=="red")]}{.restartCount}{.state.running.startedAt}{end}')).startsWith('12'))
    assert.equal(await inPod('lamps', 'red', 'echo $LAMP_RED ${LAMP_BLUE-off}'), 'on off')
    assert.deepStrictEqual(calls(), ['prepare default/lamps'], 'nothing is prepared anew')

    await cluster.must(['delete', 'pod', 'lamps', '--timeout=60s'], { timeoutMs: 70_000 })
    assert.deepStrictEqual(calls(), ['prepare default/lamps', 'unprepare default/lamps'])
  })

  it('what cannot be prepared keeps its pod from starting and is told; kill -9 while the driver thinks: it is asked again, and undone once', async () => {
    driver.calls.length = 0
    driver.failNext('prepare', { claim: 'no bulb' })
    await claim('late')
    await pod('late', [container('main', 'sleep 3600', undefined)])
    await until('it is told', 20_000, async () => (await get('events', '-o', 'jsonpath={.items[*].message}')).includes('Failed to prepare dynamic resources: prepare dynamic resources: NodePrepareResources failed for ResourceClaim late: no bulb'))
    assert.equal(await get('pod', 'late', '-o', 'jsonpath={.status.phase} {.status.containerStatuses[0].state.waiting.reason}'), 'Pending ContainerCreating')
    const release = driver.block('prepare')
    await until('the driver is asked again', 30_000, () => Promise.resolve(driver.calls.length === 2))
    await cluster.stop(node(), 'SIGKILL')
    release()
    cluster.start(node())
    await cluster.waitForNodes()
    await ready('late')
    assert.equal(await inPod('late', 'main', 'echo $LAMP_RED'), 'on')
    await cluster.must(['delete', 'pod', 'late', '--timeout=60s'], { timeoutMs: 70_000 })
    assert.deepStrictEqual(calls(), ['prepare default/late', 'prepare default/late', 'prepare default/late', 'unprepare default/late'])
  })

  it('a pod made from a template ends when its claim was given back, not before', async () => {
    driver.calls.length = 0
    await apply({ apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaimTemplate', metadata: { name: 'lamps' }, spec: { spec: claimSpec } })
    await pod('short', [container('main', 'test $LAMP_BLUE = on', undefined)], { resourceClaimTemplateName: 'lamps' }, { restartPolicy: 'Never' })
    const made = () => get('pod', 'short', '-o', 'jsonpath={.status.resourceClaimStatuses[0].resourceClaimName}')
    await until('its claim is made', 20_000, async () => (await made()) !== '')
    const release = driver.block('unprepare')
    await allocate(await made())
    await until('it is given back', 60_000, () => Promise.resolve(driver.calls.length === 2))
    assert.notEqual(await phase('short'), 'Succeeded')
    release()
    await until('it has ended', 20_000, async () => (await phase('short')) === 'Succeeded')
    assert.match(driver.calls.join(), /^prepare default\/short-lamp-\w+ \S+,unprepare default\/short-lamp-\w+ \S+$/)
  })

  it('the scheduler gives a claim devices that its driver tells of; another waits until they are given back', async () => {
    driver.calls.length = 0
    // What was allocated by hand is taken back by hand.
    await cluster.must(['delete', 'resourceclaims', '--all', '--timeout=60s'], { timeoutMs: 70_000 })
    await slice(DRIVER, ...COLOURS)
    for (const name of ['first', 'second']) {
      await apply({ apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name }, spec: claimSpec })
      await apply({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec: { terminationGracePeriodSeconds: 1, resourceClaims: [{ name: 'lamp', resourceClaimName: name }], containers: [container('main', 'sleep 3600', undefined)] } })
      if (name === 'first') await ready(name)
    }
    assert.equal(await inPod('first', 'main', 'echo $LAMP_RED $LAMP_BLUE'), 'on on')
    await until('the second is told why it waits', 20_000, async () => (await get('pod', 'second', '-o', 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}')).startsWith('0/1 nodes are available: 1 cannot allocate all claims.'))
    await cluster.must(['delete', 'pod', 'first', '--timeout=60s'], { timeoutMs: 70_000 })
    await ready('second')
    assert.deepStrictEqual(calls(), ['prepare default/first', 'unprepare default/first', 'prepare default/second'])
    await cluster.must(['delete', 'pod', 'second', '--timeout=60s'], { timeoutMs: 70_000 })
    await cluster.must(['delete', 'resourceslice', DRIVER])
  })

  it('what the cluster was told of the devices of a driver that is not here is deleted when the agent starts', async () => {
    await slice('gone.skiff-test.example', 'red')
    await cluster.stop(node(), 'SIGKILL')
    cluster.start(node())
    await cluster.waitForNodes()
    await until('it is deleted', 30_000, async () => (await get('resourceslices', '-o', 'name')) === '')
  })
})
