import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { seededRandom } from '#base/random.ts'
import { node, pod, snapshot } from './build.test-support.ts'
import type { NodeInfo, PodInfo } from './node-info.ts'
import { schedule, unschedulableMessage } from './schedule.ts'

/** The node chosen, or upstream's message. */
const place = (info: PodInfo, ...nodes: NodeInfo[]): string => {
  const result = schedule(snapshot(...nodes), info, seededRandom(1))
  return result.ok ? result.node : unschedulableMessage(result)
}

describe('filters', () => {
  it('says that there are no nodes', () => assert.equal(place(pod('p')), 'no nodes available to schedule pods'))

  it('counts the reasons per node, each resource for itself', () => {
    const big = pod('p', { requests: { cpu: '3', memory: '6Gi' } })
    const full = [pod('a', { requests: { cpu: '2', memory: '4Gi' } })]
    assert.equal(place(big, node('n1', { placed: full }), node('n2', { placed: [pod('b', { requests: { cpu: '2' } })] }), node('n3', { spec: { unschedulable: true } })),
      '0/3 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu.')
  })

  it('fits to the last millicore and byte, and not beyond', () => {
    const placed = [pod('a', { requests: { cpu: '3500m', memory: '7Gi' } })]
    assert.equal(place(pod('p', { requests: { cpu: '500m', memory: '1Gi' } }), node('n', { placed })), 'n')
    assert.equal(place(pod('p', { requests: { cpu: '501m' } }), node('n', { placed })), '0/1 nodes are available: 1 Insufficient cpu.')
    assert.equal(place(pod('p'), node('n', { pods: '1', placed })), '0/1 nodes are available: 1 Too many pods.')
    assert.equal(place(pod('p', { requests: { 'example.com/gpio': '1' } }), node('n'), node('m', { extra: { 'example.com/gpio': '2' } })), 'm')
  })

  it('keeps pods off tainted nodes unless they tolerate it', () => {
    const tainted = node('n', { spec: { taints: [{ key: 'dedicated', value: 'db', effect: 'NoSchedule' }] } })
    assert.equal(place(pod('p'), tainted), '0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.')
    assert.equal(place(pod('p', { spec: { tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'db', effect: 'NoSchedule' }] } }), tainted), 'n')
    assert.equal(place(pod('p', { spec: { tolerations: [{ operator: 'Exists' }] } }), tainted), 'n')
    assert.equal(place(pod('p', { spec: { tolerations: [{ key: 'dedicated', value: 'web' }] } }), tainted), '0/1 nodes are available: 1 node(s) had untolerated taint {dedicated: db}.')
    assert.equal(place(pod('p', { spec: { tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }] } }), node('n', { spec: { unschedulable: true } })), 'n')
  })

  it('follows nodeSelector and required node affinity', () => {
    const [ssd, hdd] = [node('ssd', { labels: { disk: 'ssd', cores: '8' } }), node('hdd', { labels: { disk: 'hdd', cores: '2' } })]
    assert.equal(place(pod('p', { spec: { nodeSelector: { disk: 'hdd' } } }), ssd, hdd), 'hdd')
    assert.equal(place(pod('p', { spec: { nodeSelector: { disk: 'nvme' } } }), ssd, hdd), "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.")
    const affinity = (key: string, operator: string, ...values: string[]) => pod('p', { spec: { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator, values }] }] } } } } })
    assert.equal(place(affinity('cores', 'Gt', '4'), ssd, hdd), 'ssd')
    assert.equal(place(affinity('disk', 'NotIn', 'ssd'), ssd, hdd), 'hdd')
    assert.equal(place(pod('p', { spec: { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['hdd'] }] }] } } } } }), ssd, hdd), 'hdd')
  })

  it('takes pods that need a feature only to nodes that declare it', () => {
    const restarts = pod('p', { spec: { containers: [{ name: 'c', image: 'i', restartPolicyRules: [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [7] } }] }] } })
    const [plain, able] = [node('plain'), node('able', { features: ['Other', 'RestartAllContainersOnContainerExits'] })]
    assert.equal(place(restarts, plain), "0/1 nodes are available: 1 node(s) didn't match Pod's required features.")
    assert.equal(place(restarts, plain, able), 'able')
    assert.equal(place(pod('p', { spec: { hostNetwork: true, hostUsers: false } }), able), "0/1 nodes are available: 1 node(s) didn't match Pod's required features.")
    assert.equal(place(pod('p', { spec: { hostNetwork: true } }), plain), 'plain')
  })

  it('gives a host port to one pod of a node only', () => {
    const taken = node('n', { placed: [pod('a', { hostPort: 8080 })] })
    assert.equal(place(pod('p', { hostPort: 8080 }), taken), "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.")
    assert.equal(place(pod('p', { hostPort: 8081 }), taken), 'n')
  })

  it('keeps a hard spread within its skew', () => {
    const web = (n: string) => pod(n, { labels: { app: 'web' }, spec: { topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app: 'web' } } }] } })
    const a = node('a', { labels: { zone: '1' }, placed: [web('1')] })
    assert.equal(place(web('p'), a, node('b', { labels: { zone: '2' } })), 'b')
    assert.equal(place(web('p'), a, node('b', { labels: { zone: '2' }, spec: { unschedulable: true } })), "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable.")
    assert.match(place(web('p'), node('c')), /missing required label/)
  })

  it('holds required anti-affinity in both directions, and affinity for the first of its kind', () => {
    const term = { labelSelector: { matchLabels: { app: 'db' } }, topologyKey: 'kubernetes.io/hostname' }
    const anti = (n: string, labels: Record<string, string> = { app: 'db' }) => pod(n, { labels, spec: { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } } })
    assert.equal(place(anti('p'), node('a', { placed: [anti('1')] }), node('b')), 'b')
    assert.equal(place(pod('p', { labels: { app: 'db' } }), node('a', { placed: [anti('1')] })), "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.")
    assert.equal(place(anti('p', {}), node('a', { placed: [pod('1', { labels: { app: 'db' } })] })), "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.")
    const near = (labels: Record<string, string>) => pod('p', { labels, spec: { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } } })
    assert.equal(place(near({}), node('a'), node('b', { placed: [pod('1', { labels: { app: 'db' } })] })), 'b')
    assert.equal(place(near({ app: 'db' }), node('a')), 'a')
    assert.equal(place(near({}), node('a')), "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.")
  })
})

describe('scores', () => {
  it('prefer the node with the most room', () => {
    assert.equal(place(pod('p'), node('busy', { placed: [pod('a', { requests: { cpu: '2', memory: '4Gi' } })] }), node('free')), 'free')
  })
  it('spread the pods of one owner over nodes', () => {
    const like = (n: string) => pod(n, { labels: { app: 'web' }, owned: true })
    assert.equal(place(like('p'), node('a', { placed: [like('1'), like('2')] }), node('b', { placed: [like('3'), pod('x', { requests: { cpu: '100m' } })] })), 'b')
  })
  it('weigh preferred affinity and PreferNoSchedule taints', () => {
    const prefers = pod('p', { spec: { affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 50, preference: { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] } }] } } } })
    assert.equal(place(prefers, node('hdd'), node('ssd', { labels: { disk: 'ssd' }, placed: [pod('a', { requests: { cpu: '1' } })] })), 'ssd')
    assert.equal(place(pod('p'), node('a', { spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } }), node('b', { placed: [pod('x', { requests: { cpu: '1' } })] })), 'b')
  })
})

describe('laws', () => {
  it('a chosen node never ends up with more asked of it than it has, whatever arrives', () => {
    const cpu = fc.integer({ min: 0, max: 3000 })
    fc.assert(fc.property(fc.array(cpu, { maxLength: 40 }), fc.integer(), (asks, seed) => {
      const placed = new Map<string, PodInfo[]>([['a', []], ['b', []], ['c', []]])
      const build = () => [...placed].map(([name, pods]) => node(name, { cpu: '4', pods: '6', placed: pods }))
      for (const [i, milli] of asks.entries()) {
        const info = pod(`p${i}`, { requests: { cpu: `${milli}m` } })
        const result = schedule(snapshot(...build()), info, seededRandom(seed))
        if (result.ok) placed.get(result.node)?.push(info)
        else assert.ok(build().every((n) => n.requested.cpuMilli + milli > 4000 || n.pods.length >= 6), 'refused although a node has room')
      }
      for (const n of build()) assert.ok(n.requested.cpuMilli <= 4000 && n.pods.length <= 6)
    }), { numRuns: 60 })
  })
})
