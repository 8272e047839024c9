/** Nodes that come, go, restart and lose their cable, with a server and two agents; pods and Services must not care more than they have to. */
import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import type { LabHost } from '../lab/host.ts'
import type { Road } from './net-peer.ts'
import { apply, echoManifest, gotten, podsOf, service, type PodPlace } from './three-hosts.ts'

const DNS = '10.43.0.10'
const SKIFF = process.env['SKIFF_BINARY'] ?? join(import.meta.dirname, '../../dist/skiff')
/** Tolerates a lost node this long, where the default is 300 s. */
const TOLERATION_SECONDS = 2

describe('nodes', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let h1: LabHost
  let h2: LabHost
  let h3: LabHost
  let clusterIp: string

  const must = (...args: string[]) => cluster.must(args)
  /** Ids and restart counts: what must not change. */
  const identity = (pods: readonly PodPlace[]) => pods.map(({ name, node, ip, containerIds, restarts }) => ({ name, node, ip, containerIds, restarts }))
  const echo = () => podsOf(cluster, 'echo')
  const allReady = (what: string, timeoutMs = 60_000) => until(what, timeoutMs, async () => {
    const pods = await echo()
    return pods.length === 6 && pods.every((p) => p.isReady)
  })
  const pod = (name: string, node: string, command: string[]) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: name } }, spec: { nodeName: node, terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'busybox:1', command }] } })
  const running = (host: LabHost, command: string) => host.processes().filter((p) => p.command === command).map((p) => p.pid)
  const many = (count = 40): Road[] => Array.from({ length: count }, () => ({ http: `http://${clusterIp}/` }))
  /** Every request is answered, and by a pod of each of these nodes. */
  const servedBy = async (from: LabHost, nodes: readonly string[], among: readonly PodPlace[]) => {
    const nodeOf = new Map(among.map((p) => [p.name, p.node]))
    deepStrictEqual([...new Set((await gotten(cluster, from, many())).map((name) => nodeOf.get(name) ?? name))].toSorted(), nodes.toSorted())
  }
  const nodeState = async (name: string) => JSON.parse(await must('get', 'node', name, '-o', 'json')) as { spec: { taints?: { key: string; effect: string }[]; podCIDR: string }; status: { conditions: { type: string; status: string; reason: string }[] } }
  const ready = async (name: string) => (await nodeState(name)).status.conditions.find((c) => c.type === 'Ready')?.status
  const streamsWork = (name: string) => until(`logs and exec reach ${name}`, 15_000, async () =>
    (await cluster.kubectl(['logs', name, '--tail=1'])).code === 0 && (await cluster.kubectl(['exec', name, '-c', 'web', '--', 'echo', 'hello'])).stdout === 'hello\n')

  before(async () => {
    cluster = await Cluster.create({ hosts: 3 });
    [h1, h2, h3] = cluster.lab.hosts as [LabHost, LabHost, LabHost]
    await apply(cluster, echoManifest(), service('echo', {}))
    await must('rollout', 'status', 'deployment/echo', '--timeout=90s')
    clusterIp = await must('get', 'service', 'echo', '-o', 'jsonpath={.spec.clusterIP}')
    const pods = await echo()
    const all = pods.map((p) => p.name).toSorted().join()
    await until('the Service answers on all hosts', 15_000, async () => (await Promise.all([h1, h2, h3].map((h) => gotten(cluster, h, many(120))))).every((got) => [...new Set(got)].toSorted().join() === all))
  })
  after(() => cluster?.destroy())

  test('an agent killed: containers and Services go on; its pods are as before when it is back, what changed meanwhile is caught up', async () => {
    await apply(cluster, pod('goes', 'h2', ['sleep', '5001']))
    await must('wait', 'pod/goes', '--for=condition=Ready', '--timeout=30s')
    const before = await echo()
    await cluster.stop(h2, 'SIGKILL')
    strictEqual(running(h2, 'sleep 5001').length, 1)
    for (const from of [h1, h2, h3]) await servedBy(from, ['h1', 'h2', 'h3'], before)
    await must('delete', 'pod', 'goes', '--wait=false')
    await apply(cluster, pod('comes', 'h2', ['sleep', '5002']))
    cluster.start(h2)
    await must('wait', 'pod/comes', '--for=condition=Ready', '--timeout=30s')
    await until('the pod deleted meanwhile is gone', 20_000, async () => (await cluster.kubectl(['get', 'pod', 'goes'])).code === 1 && running(h2, 'sleep 5001').length === 0)
    deepStrictEqual(identity(await echo()), identity(before))
    await streamsWork(before.find((p) => p.node === 'h2')?.name ?? '')
    await must('delete', 'pod', 'comes', '--now')
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    test(`the server ended by ${signal}: Services and DNS answer on all nodes meanwhile; agents are back within seconds, nothing was restarted`, async () => {
      const before = await echo()
      await cluster.stop(h1, signal)
      for (const from of [h2, h3]) {
        await servedBy(from, ['h1', 'h2', 'h3'], before)
        deepStrictEqual(await gotten(cluster, from, [{ lookUp: 'echo.default.svc.cluster.local', type: 'A', server: DNS }, { lookUp: 'none.default.svc.cluster.local', type: 'A', server: DNS }]), [clusterIp, 'failed: ENOTFOUND'])
      }
      cluster.start(h1)
      await cluster.waitForApi()
      const startedMs = Date.now()
      for (const { name } of [before[0], before[2], before[4]] as PodPlace[]) await streamsWork(name)
      const far = before.find((p) => p.node === 'h3')?.name ?? ''
      {
        await using forward = cluster.follow(['port-forward', far, '8081:8080'])
        await forward.says('Forwarding from 127.0.0.1:8081')
        deepStrictEqual(await gotten(cluster, h1, [{ http: 'http://127.0.0.1:8081/' }]), [far])
      }
      // Watches go on: a Service made now is served by nodes that were connected before.
      await apply(cluster, service(`after-${signal.toLowerCase()}`, {}))
      const ip = await must('get', 'service', `after-${signal.toLowerCase()}`, '-o', 'jsonpath={.spec.clusterIP}')
      await until('new Services reach the agents', 20_000, async () => (await Promise.all([h1, h2, h3].map((h) => gotten(cluster, h, [{ http: `http://${ip}/` }])))).every(([got]) => got?.startsWith('echo-')))
      console.log(`     agents were back ${((Date.now() - startedMs) / 1000).toFixed(1)} s after the server`)
      deepStrictEqual(identity(await echo()), identity(before))
    })
  }

  test('an agent restarted while the server is down keeps its pods and restarts what fails', async () => {
    await apply(cluster, pod('fragile', 'h3', ['sleep', '5003']))
    await must('wait', 'pod/fragile', '--for=condition=Ready', '--timeout=30s')
    const before = await echo()
    await cluster.stop(h1, 'SIGKILL')
    await cluster.stop(h3, 'SIGKILL')
    cluster.start(h3)
    const [pid = 0] = running(h3, 'sleep 5003')
    kill(pid)
    await until('the container runs again without a server', 30_000, () => running(h3, 'sleep 5003').some((p) => p !== pid))
    await servedBy(h3, ['h1', 'h2', 'h3'], before)
    cluster.start(h1)
    await cluster.waitForApi()
    await until('the restart is told', 30_000, async () => (await must('get', 'pod', 'fragile', '-o', 'jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode} {.status.phase}')) === '1 137 Running')
    deepStrictEqual(identity(await echo()), identity(before))
    await must('delete', 'pod', 'fragile', '--now')
  })

  test('a node that starts without its server and without rules in the kernel serves Services and names from what it knew', async () => {
    const before = await echo()
    await cluster.stop(h3, 'SIGTERM')
    await cluster.stop(h1, 'SIGKILL')
    await h3.must(['nft', 'delete', 'table', 'ip', 'skiff-proxy'])
    cluster.start(h3)
    await until('names are answered', 20_000, async () => (await gotten(cluster, h3, [{ lookUp: 'echo.default.svc.cluster.local', type: 'A', server: DNS }]))[0] === clusterIp)
    await until('the Service answers', 20_000, async () => (await gotten(cluster, h3, [{ http: `http://${clusterIp}/` }]))[0]?.startsWith('echo-') === true)
    await servedBy(h3, ['h1', 'h2', 'h3'], before)
    deepStrictEqual(await gotten(cluster, h3, [{ lookUp: 'none.default.svc.cluster.local', type: 'A', server: DNS }]), ['failed: ENOTFOUND'])
    cluster.start(h1)
    await cluster.waitForApi()
    await until('h3 is Ready', 30_000, async () => (await ready('h3')) === 'True')
    deepStrictEqual(identity(await echo()), identity(before))
  })

  test('drain moves the pods of a node to others; uncordon lets it have pods again', async () => {
    await apply(cluster, echoManifest({ name: 'mover', replicas: 3, pod: { topologySpreadConstraints: [] } }))
    await must('rollout', 'status', 'deployment/mover', '--timeout=60s')
    ok((await podsOf(cluster, 'mover')).some((p) => p.node === 'h2'))
    await must('drain', 'h2', '--ignore-daemonsets', '--force', '--delete-emptydir-data', '--pod-selector=app=mover', '--timeout=60s')
    await must('rollout', 'status', 'deployment/mover', '--timeout=60s')
    deepStrictEqual((await podsOf(cluster, 'mover')).filter((p) => p.node === 'h2'), [])
    match(await must('get', 'node', 'h2'), /Ready,SchedulingDisabled/)
    await must('uncordon', 'h2')
    await until('the taint is gone', 10_000, async () => (await nodeState('h2')).spec.taints === undefined)
    await must('scale', 'deployment/mover', '--replicas=9')
    await must('rollout', 'status', 'deployment/mover', '--timeout=60s')
    ok((await podsOf(cluster, 'mover')).some((p) => p.node === 'h2'))
    await must('delete', 'deployment', 'mover')
    await until('its pods are gone', 30_000, async () => (await must('get', 'pods', '-l', 'app=mover', '-o', 'name')) === '')
  })

  /** What a reboot makes of a machine: /run is empty, nothing is mounted, devices and rules are the kernel's own. */
  const afterPowerCut = async (host: LabHost) => {
    await until('all processes of the host are gone', 10_000, () => host.processes().length === 0)
    await host.must(['sh', '-c', `for m in $(cut -d ' ' -f 2 /proc/mounts | grep '^${host.dir}/' | tac); do umount -l $m; done; rm -rf ${host.stateDir}/*
      nft flush ruleset; for d in skiff0 skiff.1; do ip link delete $d; done; for d in $(ip -o link show type veth | grep -o 'skiff[^@:]*@' | tr -d @); do ip link delete $d; done; ip address delete ${DNS}/32 dev lo`])
  }

  /** What a host holds of pods: as many of each as it has pods. */
  const holdings = (host: LabHost) => {
    const mounts = readFileSync(`/proc/${host.holderPid}/mounts`, 'utf8').split('\n').map((l) => l.split(' ')[1] ?? '').filter((m) => m.startsWith(host.dir))
    const leases = new Map<string, string>()
    for (const line of readFileSync(join(host.dataDir, 'agent/cni/leases.jsonl'), 'utf8').trim().split('\n')) {
      const record = JSON.parse(line) as { put?: { id: string; address: string }; del?: string }
      if (record.put) leases.set(record.put.id, record.put.address)
      if (record.del !== undefined) leases.delete(record.del)
    }
    return {
      sandboxes: readdirSync(join(host.stateDir, 'sandboxes')).length,
      containers: readdirSync(join(host.stateDir, 'containers')).length,
      netns: mounts.filter((m) => m.startsWith(join(host.stateDir, 'netns/'))).length,
      rootfs: mounts.filter((m) => m.endsWith('/rootfs')).length,
      conmons: host.processes().filter((p) => /conmon /.test(p.command)).length,
      addresses: [...leases.values()].toSorted(),
    }
  }
  const ports = async (host: LabHost) => (await host.must(['ip', '-o', 'link', 'show', 'master', 'skiff0'])).trim().split('\n').filter((l) => l.includes('@')).length

  test('a host that lost its power starts its pods again: fresh addresses, none twice, nothing left of the old ones', async () => {
    const before = await echo()
    h2.killAll()
    await afterPowerCut(h2)
    cluster.start(h2)
    await until('its pods run again', 60_000, async () => {
      const now = await echo()
      return now.length === 6 && now.every((p) => p.isReady) && now.filter((p) => p.node === 'h2').every((p) => !before.some((b) => b.containerIds.some((id) => p.containerIds.includes(id))))
    })
    const now = await echo()
    deepStrictEqual(identity(now.filter((p) => p.node !== 'h2')), identity(before.filter((p) => p.node !== 'h2')))
    strictEqual(new Set(now.map((p) => p.ip)).size, 6)
    const mine = now.filter((p) => p.node === 'h2')
    deepStrictEqual(mine.map((p) => p.uid), before.filter((p) => p.node === 'h2').map((p) => p.uid))
    const old = before.filter((p) => p.node === 'h2').map((p) => p.ip)
    ok(mine.every((p) => !old.includes(p.ip)), `addresses were handed out again at once: ${old.join()} then ${mine.map((p) => p.ip).join()}`)
    await until('nothing is left of the containers of before', 30_000, () => holdings(h2).conmons === 4 && holdings(h2).rootfs === 4)
    deepStrictEqual({ ...holdings(h2), containers: 0, ports: await ports(h2) }, { sandboxes: 2, containers: 0, netns: 2, rootfs: 4, conmons: 4, addresses: mine.map((p) => p.ip).toSorted(), ports: 2 })
    await until('the Service knows the new addresses', 15_000, async () => (await gotten(cluster, h3, many())).every((got) => got.startsWith('echo-')))
    for (const from of [h1, h2, h3]) await servedBy(from, ['h1', 'h2', 'h3'], now)
  })

  test('a node deleted comes back under its name with its own password; another machine cannot take the name', async () => {
    const before = await echo()
    const thief = h1.spawn([SKIFF, 'agent', '--server', `https://${h1.ip}:6443`, '--token', cluster.token, '--data-dir', join(h1.dir, 'thief'), '--state-dir', join(h1.dir, 'thief-run'), '--node-name', 'h3', '--node-ip', h1.ip, '--cgroup-root', `${h1.cgroupRoot}/thief`, '--log-format', 'text'], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    thief.stderr?.on('data', (chunk: Buffer) => { said += chunk.toString() })
    thief.stdout?.on('data', (chunk: Buffer) => { said += chunk.toString() })
    await until('the thief is refused', 20_000, () => /h3.*(taken|password)/.test(said)).catch((error: unknown) => { throw new Error(`it said: ${said}`, { cause: error }) })
    match(said, /h3.*(already|taken|another)/)
    thief.kill('SIGKILL')
    await cluster.stop(h3)
    await must('delete', 'node', 'h3')
    cluster.start(h3)
    await until('the node is back', 30_000, async () => (await cluster.kubectl(['get', 'node', 'h3'])).code === 0 && (await ready('h3')) === 'True')
    deepStrictEqual(identity(await echo()), identity(before))
    await servedBy(h2, ['h1', 'h2', 'h3'], before)
    await streamsWork(before.find((p) => p.node === 'h3')?.name ?? '')
  })

  test('a cable cut: the node is lost after its grace, pods leave as they tolerate; healed, it is Ready and only what left is gone', async () => {
    const tolerations = ['not-ready', 'unreachable'].map((key) => ({ key: `node.kubernetes.io/${key}`, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: TOLERATION_SECONDS }))
    const prefersH3 = { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['h3'] }] } }] } }
    await apply(cluster, echoManifest({ name: 'leaver', replicas: 1, pod: { tolerations, affinity: prefersH3, topologySpreadConstraints: [] } }))
    await must('rollout', 'status', 'deployment/leaver', '--timeout=60s')
    const [leaver] = await podsOf(cluster, 'leaver')
    strictEqual(leaver?.node, 'h3')
    const before = await echo()
    const { podCIDR } = (await nodeState('h3')).spec
    h3.cutCable()
    const cutMs = Date.now()
    await until('the node is lost', 70_000, async () => (await ready('h3')) === 'Unknown')
    console.log(`     lost ${((Date.now() - cutMs) / 1000).toFixed(0)} s after the cut`)
    const lost = await nodeState('h3')
    strictEqual(lost.status.conditions.find((c) => c.type === 'Ready')?.reason, 'NodeStatusUnknown')
    await until('both taints are there', 10_000, async () => (await nodeState('h3')).spec.taints?.map((t) => `${t.key}:${t.effect}`).toSorted().join() === 'node.kubernetes.io/unreachable:NoExecute,node.kubernetes.io/unreachable:NoSchedule')
    await until('another pod took over', 30_000, async () => (await podsOf(cluster, 'leaver')).some((p) => p.isReady && p.node !== 'h3'))
    await until('the Service has no endpoints there', 15_000, async () => [...new Set(await gotten(cluster, h2, many()))].every((name) => before.some((p) => p.name === name && p.node !== 'h3')))
    h3.healCable()
    const healedMs = Date.now()
    await until('the node is Ready again', 60_000, async () => (await ready('h3')) === 'True')
    console.log(`     Ready ${((Date.now() - healedMs) / 1000).toFixed(1)} s after the cable was back`)
    await until('the taints are gone', 10_000, async () => (await nodeState('h3')).spec.taints === undefined)
    await until('the pod that left is gone', 30_000, async () => (await cluster.kubectl(['get', 'pod', leaver?.name ?? ''])).code === 1)
    await allReady('pods of the healed node are Ready again', 30_000)
    deepStrictEqual(identity(await echo()), identity(before))
    strictEqual((await nodeState('h3')).spec.podCIDR, podCIDR)
    await until('nothing is left of the pod that left', 15_000, () => holdings(h3).conmons === 4 && holdings(h3).sandboxes === 2)
    deepStrictEqual({ ...holdings(h3), containers: 0, ports: await ports(h3) }, { sandboxes: 2, containers: 0, netns: 2, rootfs: 4, conmons: 4, addresses: before.filter((p) => p.node === 'h3').map((p) => p.ip).toSorted(), ports: 2 })
    await until('the Service has all again', 15_000, async () => new Set(await gotten(cluster, h2, many(120))).size === 6)
    await streamsWork(before.find((p) => p.node === 'h3')?.name ?? '')
  })
})
