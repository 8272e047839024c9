/** Devices for pods on a real node: of a plugin over gRPC, and of the agent's own rules; seen, used and denied inside real containers. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { systemClock } from '#base/clock.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { silentLog } from '#base/log.ts'
import { startTestPlugin, type TestPlugin } from '#agent/kubelet/devices/testing/plugin.ts'
import { LIST } from '#agent/kubelet/pod-resources/calls.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

/** A node of /dev/fuse's device, which anybody may open and no container may by default: of ours, so that it can be unplugged. */
const DICE = `/dev/skiff-dice-${process.pid}`

/** What its vendor says of the radio: a file among the machine's own. */
const CDI = { directory: '/var/run/cdi', file: `/var/run/cdi/skiff-test-${process.pid}.json`, device: `skiff-test.example/radio=r${process.pid}` }

const pod = (name: string, resource: string, more: object = {}) => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name },
  spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '3600'], resources: { limits: { [resource]: '1' } } }], ...more },
})

describe('devices', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let plugin: TestPlugin | undefined
  const node = (): LabHost => {
    const [host] = cluster.lab.hosts
    if (!host) throw new Error('the lab has no host')
    return host
  }
  const directory = () => join(node().dataDir, 'agent', 'device-plugins')
  const madeAtNs = () => statSync(join(directory(), 'kubelet.sock'), { bigint: true, throwIfNoEntry: false })?.ctimeNs
  const startPlugin = async () => {
    plugin = await startTestPlugin({
      directory: directory(), resource: 'example.com/radio', devices: ['r0', '!r1'], clock: systemClock, log: silentLog,
      grant: (ids) => ({ envs: { RADIOS: ids.join(' ') }, devices: [{ containerPath: '/dev/radio', hostPath: DICE, permissions: 'r' }], cdiDevices: [{ name: CDI.device }] }),
    })
    await plugin.register()
  }
  const apply = (object: object) => cluster.must(['apply', '-f', '-'], { input: JSON.stringify(object) })
  const inPod = async (name: string, script: string) => (await cluster.kubectl(['exec', name, '--', 'sh', '-c', `${script} 2>&1`])).stdout.trim()
  const told = async (resource: string) => {
    const { capacity, allocatable } = JSON.parse(await cluster.must(['get', 'node', node().name, '-o', 'jsonpath={.status}'])) as Record<'capacity' | 'allocatable', Record<string, string>>
    return [capacity[resource], allocatable[resource]].join()
  }
  const ready = (name: string) => cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', `pod/${name}`], { timeoutMs: 70_000 })

  before(async () => {
    execFileSync('mknod', ['-m', '666', DICE, 'c', '10', '229'])
    mkdirSync(CDI.directory, { recursive: true })
    writeFileSync(CDI.file, JSON.stringify({ cdiVersion: '0.6.0', kind: CDI.device.split('=')[0], devices: [{ name: CDI.device.split('=')[1], containerEdits: { env: ['ANTENNA=long'] } }] }))
    cluster = await Cluster.create({ hosts: 1, serverFlags: ['--device', `example.com/dice=${DICE.slice(0, -1)}*:2`] })
  })
  after(async () => {
    rmSync(DICE, { force: true })
    rmSync(CDI.file, { force: true })
    await plugin?.stop()
    await cluster.destroy()
  })

  it('of a plugin: the node counts them, the scheduler knows, a container may do with its own what it was given and no more', async () => {
    await startPlugin()
    await until('the node tells them', 20_000, async () => (await told('example.com/radio')) === '2,1')
    await apply(pod('listener', 'example.com/radio'))
    await ready('listener')
    assert.deepStrictEqual([await inPod('listener', 'echo $RADIOS $ANTENNA'), await inPod('listener', ': < /dev/radio; echo $?')], ['r0 long', '0'])
    assert.match(await inPod('listener', '(: >> /dev/radio)'), /Operation not permitted/)
    const healthOf = async (name: string) => await cluster.must(['get', 'pod', name, '-o', 'jsonpath={.status.containerStatuses[0].allocatedResourcesStatus}'])
    const health = (of: string) => [{ name: 'example.com/radio', resources: [{ health: of, resourceID: 'r0' }] }]
    assert.deepStrictEqual(JSON.parse(await healthOf('listener')), health('Healthy'))
    plugin?.tell(['!r0', '!r1'])
    await until('its status says that its device is ill', 20_000, async () => isDeepStrictEqual(JSON.parse(await healthOf('listener')), health('Unhealthy')))
    plugin?.tell(['r0', '!r1'])
    await until('... and well again', 20_000, async () => isDeepStrictEqual(JSON.parse(await healthOf('listener')), health('Healthy')))
    const monitor = new GrpcClient({ endpoint: { socketPath: join(node().dataDir, 'agent', 'pod-resources', 'kubelet.sock') }, peer: 'the kubelet', clock: systemClock })
    const { podResources } = await monitor.unary(LIST, {}, { timeoutMs: 5_000 })
    monitor.close()
    assert.deepStrictEqual(podResources, [{ name: 'listener', namespace: 'default', containers: [{ name: 'main', devices: [{ resourceName: 'example.com/radio', deviceIds: ['r0'], topology: undefined }], cpuIds: [], memory: [], dynamicResources: [] }] }])
    await apply(pod('late', 'example.com/radio'))
    await until('there is none for another', 20_000, async () => /Insufficient example\.com\/radio/.test(await cluster.must(['get', 'pod', 'late', '-o', 'jsonpath={.status.conditions[*].message}'])))
    await apply(pod('forced', 'example.com/radio', { nodeName: node().name }))
    await until('nor for one that was not asked of the scheduler', 20_000, async () => (await cluster.must(['get', 'pod', 'forced', '-o', 'jsonpath={.status.phase} {.status.reason}'])) === 'Failed UnexpectedAdmissionError')
  })

  it('stay whose they are through kill -9 of the agent; the plugin comes back, and what the pod leaves goes to the next', async () => {
    await cluster.stop(node(), 'SIGKILL')
    const left = madeAtNs()
    cluster.start(node())
    await cluster.waitForNodes()
    // The socket of before is there until the new one is: nobody answers at it.
    await until('plugins are asked to register again', 20_000, () => madeAtNs() !== left && madeAtNs() !== undefined)
    assert.equal(existsSync(join(directory(), 'example.com-radio.sock')), false)
    await until('the node has none until they have', 20_000, async () => (await told('example.com/radio')) === '0,0')
    await plugin?.stop()
    await startPlugin()
    await until('the node tells them again', 20_000, async () => (await told('example.com/radio')) === '2,1')
    assert.equal((await cluster.must(['get', 'pod', 'listener', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'])).trim(), '0')
    assert.deepStrictEqual(plugin?.calls, [], 'nothing is given anew')
    await cluster.must(['delete', 'pod', 'listener', 'forced', '--timeout=60s'], { timeoutMs: 70_000 })
    await ready('late')
    assert.deepStrictEqual(plugin.calls, ['allocate r0'])
  })

  it('of the agent\'s own rules: shared as often as is said, gone when they are unplugged, back when they are plugged in', async () => {
    assert.equal(await told('example.com/dice'), '2,2')
    await apply(pod('alice', 'example.com/dice'))
    await apply(pod('bob', 'example.com/dice'))
    await Promise.all([ready('alice'), ready('bob')])
    assert.equal(await inPod('bob', `(: <> ${DICE}); echo $?`), '0')
    rmSync(DICE)
    await until('there are none', 20_000, async () => (await told('example.com/dice')) === '0,0')
    execFileSync('mknod', ['-m', '666', DICE, 'c', '10', '229'])
    await until('they are back', 20_000, async () => (await told('example.com/dice')) === '2,2')
  })
})
