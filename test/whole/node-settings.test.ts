/** What a node keeps for itself: reservations, thresholds and limits as flags and in a kubelet's configuration file, told by the node, held by the kernel and acted on. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseCgroupLayout } from '#agent/kubelet/cgroups/layout.ts'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const MI = 2 ** 20
/** For pods: the rest of this machine is reserved. */
const FOR_PODS = 256 * MI
const RESERVED = Math.floor(totalmem() / 1024) * 1024 - FOR_PODS

describe('what a node keeps for itself', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const node = (): LabHost => {
    const [host] = cluster.lab.hosts
    if (!host) throw new Error('the lab has no host')
    return host
  }
  const layout = parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'))
  const kubepods = (controller: string, file: string) => readFileSync(join(layout?.roots.get(layout.version === 2 ? '' : controller) ?? '', node().cgroupRoot, 'kubepods', file), 'utf8').trim()

  before(async () => {
    cluster = await Cluster.create({
      hosts: 1, serverFlags: ['--system-reserved', `memory=${RESERVED - 16 * MI},pid=1000`, '--eviction-hard', 'memory.available<100Mi', '--max-pods', '20'],
      // As a kubelet is told; where a flag says something else, that.
      prepare(host) {
        const file = join(host.dir, 'kubelet.yaml')
        const kubeReserved = `{ memory: "${16 * MI}", cpu: 500m }`
        writeFileSync(file, `apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nkubeReserved: ${kubeReserved}\nevictionPressureTransitionPeriod: 10s\nmaxPods: 7\npodPidsLimit: 64\nproviderID: shed://board\n`)
        return Promise.resolve(['--kubelet-config', file])
      },
    })
  })
  after(() => cluster.destroy())

  it('is told by the node and by /configz, and held by the kernel', async () => {
    const { capacity, allocatable } = JSON.parse(await cluster.must(['get', 'node', node().name, '-o', 'jsonpath={.status}'])) as Record<'capacity' | 'allocatable', Record<string, string>>
    assert.deepStrictEqual([allocatable['memory'], allocatable['ephemeral-storage'] === capacity['ephemeral-storage'], allocatable['pods']], ['156Mi', true, '20'], 'no threshold of the disk: none is kept free')
    assert.equal(await cluster.must(['get', 'node', node().name, '-o', 'jsonpath={.spec.providerID}']), 'shed://board')
    const { kubeletconfig } = JSON.parse(await cluster.must(['get', '--raw', `/api/v1/nodes/${node().name}/proxy/configz`])) as { kubeletconfig: Record<string, unknown> }
    assert.deepStrictEqual(
      [kubeletconfig['evictionHard'], kubeletconfig['evictionPressureTransitionPeriod'], kubeletconfig['enforceNodeAllocatable'], kubeletconfig['maxPods'], kubeletconfig['podPidsLimit'], kubeletconfig['kubeReserved']],
      [{ 'memory.available': '100Mi' }, '10s', ['pods'], 20, 64, { memory: String(16 * MI), cpu: '500m' }],
    )
    assert.equal(kubepods('memory', layout?.version === 2 ? 'memory.max' : 'memory.limit_in_bytes'), String(FOR_PODS))
  })

  it('a pod that takes what all may have together is evicted for it, though the machine has memory enough', async () => {
    await cluster.must(['apply', '-f', '-'], {
      input: JSON.stringify({
        apiVersion: 'v1', kind: 'Pod', metadata: { name: 'greedy' },
        spec: { terminationGracePeriodSeconds: 1, volumes: [{ name: 'm', emptyDir: { medium: 'Memory' } }], containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', 'dd if=/dev/zero of=/m/file bs=1M count=190; sleep 3600'], volumeMounts: [{ name: 'm', mountPath: '/m' }] }] },
      }),
    })
    await until('it is evicted', 60_000, async () => (await cluster.must(['get', 'pod', 'greedy', '-o', 'jsonpath={.status.phase} {.status.reason}'])).trim() === 'Failed Evicted')
    assert.match(await cluster.must(['get', 'pod', 'greedy', '-o', 'jsonpath={.status.message}']), /^The node was low on resource: memory\. Threshold quantity: 100Mi, available: \d+Ki\. Container main was using \d+Ki, request is 0, has larger consumption of memory\. $/)
    await until('the node tells the pressure', 20_000, async () => (await cluster.must(['get', 'events', '-A', '-o', 'jsonpath={.items[*].reason}'])).includes('NodeHasInsufficientMemory'))
    await until('... and when it is over', 60_000, async () => (await cluster.must(['get', 'node', node().name, '-o', 'jsonpath={.status.conditions[?(@.type=="MemoryPressure")].status}'])).trim() === 'False')
  })
})
