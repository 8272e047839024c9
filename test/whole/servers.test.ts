/** Three servers and an agent: writes through each of them, servers that die, come back, lose their disk, move, leave, and the last way out. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const WRITER = join(import.meta.dirname, 'steady-writer.ts')
const SKIFF = process.env['SKIFF_BINARY'] ?? join(import.meta.dirname, '../../dist/skiff')

interface WriterResult { acked: Map<string, number>; final: Record<string, number>; vanished: string[]; backwards: string[]; unwatched: string[] }

describe('several servers', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let [h1, h2, h3, h4] = [] as unknown as [LabHost, LabHost, LabHost, LabHost]
  before(async () => {
    cluster = await Cluster.create({ hosts: 4, servers: 3 });
    [h1, h2, h3, h4] = cluster.lab.hosts as [LabHost, LabHost, LabHost, LabHost]
  })
  after(() => cluster?.destroy())

  /** kubectl through the server of that host. */
  const via = (host: LabHost, ...args: string[]) => host.run(['env', `KUBECACHEDIR=${join(host.dir, 'kubectl-cache')}`, 'kubectl', '--kubeconfig', host.kubeconfig, ...args])
  const must = async (host: LabHost, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await via(host, ...args)
    assert.equal(code, 0, `kubectl ${args.join(' ')} through ${host.name}: ${stderr}`)
    return stdout.trim()
  }
  const members = async (host: LabHost, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await host.run([SKIFF, 'members', ...args, '--kubeconfig', host.kubeconfig])
    assert.equal(code, 0, stderr)
    return stdout
  }
  const names = async (host: LabHost): Promise<string[]> => (JSON.parse(await members(host, 'list', '--json')) as { name: string }[]).map((m) => m.name)
  const endpoints = (host: LabHost) => must(host, 'get', 'endpoints', 'kubernetes', '-o', 'jsonpath={.subsets[*].addresses[*].ip}')
  const holder = (host: LabHost, lease: string) => must(host, 'get', 'lease', '-n', 'kube-system', lease, '-o', 'jsonpath={.spec.holderIdentity}')
  const nodeFlags = (host: LabHost) => ['--data-dir', host.dataDir, '--state-dir', host.stateDir, '--node-name', host.name, '--cgroup-root', host.cgroupRoot, '--log-format', 'text', '--write-kubeconfig', host.kubeconfig]
  /** To its end, which must come by itself. */
  const server = (host: LabHost, ...flags: string[]) => host.run([SKIFF, 'server', ...nodeFlags(host), '--node-ip', host.ip, '--advertise-address', host.ip, ...flags])
  const isRunning = (host: LabHost) => host.processes().some((p) => / server .*--data-dir/.test(p.command) && !p.command.startsWith('nsenter'))
  const isReady = async (host: LabHost, node: string) => (await must(host, 'get', 'node', node, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')) === 'True'

  function writeThrough(host: LabHost): { acked: Map<string, number>; end: () => Promise<WriterResult> } {
    const child = host.spawn([process.execPath, WRITER, host.kubeconfig], { stdio: ['pipe', 'pipe', 'inherit'] })
    const acked = new Map<string, number>()
    const { promise, resolve, reject } = Promise.withResolvers<WriterResult>()
    assert.ok(child.stdout && child.stdin)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const fact = JSON.parse(line) as { acked?: string; rv?: number } & Partial<WriterResult>
      if (typeof fact.acked === 'string') acked.set(fact.acked, fact.rv ?? 0)
      else resolve({ ...(fact as unknown as WriterResult), acked })
    })
    child.on('exit', (code) => reject(new Error(`the writer ended with ${code}`)))
    const { stdin } = child
    return { acked, end: () => { stdin.end(); return promise } }
  }

  it('are one cluster: what is written through one is there through the others, and all of them are told to clients', async () => {
    for (const host of [h1, h2, h3]) await must(host, 'create', 'configmap', `through-${host.name}`)
    for (const host of [h1, h2, h3]) assert.deepEqual((await must(host, 'get', 'configmap', '-o', 'name')).split('\n').filter((n) => n.includes('through')), ['configmap/through-h1', 'configmap/through-h2', 'configmap/through-h3'])
    assert.deepEqual(await names(h3), ['h1', 'h2', 'h3'])
    assert.equal(await endpoints(h2), [h1, h2, h3].map((h) => h.ip).join(' '))
  })

  it('let only a server in that has the server token and the cluster\'s settings', async () => {
    const join1 = ['--server', `https://${h1.ip}:6443`]
    const agentToken = readFileSync(join(h1.dataDir, 'server/agent-token'), 'utf8').trim()
    const asked = await server(h4, '--data-dir', join(h4.dir, 'other'), '--disable-agent', ...join1, '--token', agentToken)
    assert.deepEqual([asked.code, /that is the token of agents/.test(asked.stderr)], [2, true], asked.stderr)
    const bare = await h4.run(['curl', '-sk', '-H', `authorization: Bearer ${agentToken}`, '-o', '/dev/null', '-w', '%{http_code}', `https://${h1.ip}:6443/skiff/v1/join`])
    assert.equal(bare.stdout, '401')
    const other = await server(h4, '--data-dir', join(h4.dir, 'other'), '--disable-agent', ...join1, '--token', cluster.token, '--service-cidr', '10.99.128.0/20')
    assert.deepEqual([other.code, /--service-cidr: the cluster runs with 10\.43\.0\.0\/16, this server was started with 10\.99\.128\.0\/20/.test(other.stderr)], [2, true], other.stderr)
  })

  it('lose nothing when the leader is killed: what was acknowledged is there, watches tell all, pods go on, the agent fails over', async () => {
    await must(h1, 'create', 'namespace', 'crash')
    await must(h1, 'create', 'deployment', 'web', '--image=busybox:1', '--replicas=4', '--', 'sleep', '100000')
    await must(h1, 'rollout', 'status', 'deployment/web', '--timeout=90s')
    const identity = () => must(h2, 'get', 'pods', '-l', 'app=web', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\\n"}{end}')
    const [onAgent = ''] = (await must(h2, 'get', 'pods', '-l', 'app=web', '--field-selector', 'spec.nodeName=h4', '-o', 'name')).split('\n')
    assert.match(onAgent, /^pod\/web-/)
    const before = await identity()
    const writer = writeThrough(h2)
    await until('the writer writes', 20_000, () => writer.acked.size > 50)
    await cluster.stop(h1, 'SIGKILL')
    const { size } = writer.acked
    await until('writes are acknowledged again', 10_000, () => writer.acked.size > size + 50)
    for (const host of [h2, h3]) {
      const said = { stdout: '', stderr: '' }
      const reaches = async () => Object.assign(said, await via(host, 'exec', onAgent, '--', 'echo', 'hello')).stdout === 'hello\n'
      await until(`exec through ${host.name} reaches the agent's pod`, 15_000, reaches).catch((error: unknown) => assert.fail(`${String(error)}: ${said.stderr}`))
    }
    const told = await writer.end()
    const lost = [...told.acked].filter(([name, rv]) => told.final[name] !== rv)
    assert.deepEqual({ lost, vanished: told.vanished, backwards: told.backwards, unwatched: told.unwatched }, { lost: [], vanished: [], backwards: [], unwatched: [] })
    assert.equal(await identity(), before)
    await until('clients are not sent to it any more', 40_000, async () => (await endpoints(h3)) === `${h2.ip} ${h3.ip}`)
    for (const lease of ['kube-controller-manager', 'kube-scheduler']) await until(`another one holds ${lease}`, 30_000, async () => !(await holder(h3, lease)).startsWith('h1_'))
    // The Lease of h4 has been renewed all the time, through another server than the one it joined.
    assert.ok(await isReady(h3, 'h4'))
    // The dead node counts as Ready for its grace of 40 s yet: without the cordon the new pod may be sent there.
    await must(h3, 'cordon', 'h1')
    await must(h3, 'scale', 'deployment/web', '--replicas=5')
    await must(h3, 'rollout', 'status', 'deployment/web', '--timeout=60s')
    await must(h3, 'uncordon', 'h1')
    cluster.start(h1)
    await cluster.waitForApi(h1)
    await until('h1 is a node again', 60_000, () => isReady(h1, 'h1'))
    await until('clients are sent to it again', 20_000, async () => (await endpoints(h1)) === [h1, h2, h3].map((h) => h.ip).join(' '))
  })

  it('hand over at once when one is stopped, and start again in any order', async () => {
    const from = (await holder(h1, 'kube-scheduler')).split('_')[0]
    const [leading, other] = [h1, h2, h3].toSorted((a) => (a.name === from ? -1 : 1)) as [LabHost, LabHost]
    await cluster.stop(leading)
    await until('another one schedules', 8_000, async () => !(await holder(other, 'kube-scheduler')).startsWith(`${from}_`))
    for (const host of [h1, h2, h3]) if (host !== leading) await cluster.stop(host)
    for (const host of [h3, h1, h2]) cluster.start(host)
    for (const host of [h1, h2, h3]) await cluster.waitForApi(host)
    assert.deepEqual(await names(h2), ['h1', 'h2', 'h3'])
  })

  it('take a server that lost its disk in as a new one', async () => {
    const ids = async () => (JSON.parse(await members(h1, 'list', '--json')) as { name: string; id: number }[]).find((m) => m.name === 'h2')?.id
    const before = await ids()
    await cluster.stop(h2, 'SIGKILL')
    rmSync(join(h2.dataDir, 'server'), { recursive: true })
    cluster.start(h2)
    await cluster.waitForApi(h2)
    await until('it is a member', 20_000, async () => (await names(h1)).join() === 'h1,h2,h3' && (await ids()) !== before)
    assert.match(await must(h2, 'get', 'configmap', '-o', 'name'), /through-h2/)
  })

  it('find a server again that has another address', async () => {
    const moved = h3.ip.replace(/\d+$/, (last) => String(Number(last) + 100))
    await cluster.stop(h3)
    await h3.must(['ip', 'address', 'add', `${moved}/24`, 'dev', (await h3.must(['sh', '-c', `ip -o address | grep ' ${h3.ip}/' | awk '{print $2}'`])).trim()])
    h3.start('skiff', [SKIFF, 'server', ...nodeFlags(h3), '--node-ip', h3.ip, '--advertise-address', moved])
    await cluster.waitForApi(h3)
    await until('the others know its new address', 20_000, async () => (await members(h1, 'list')).includes(`${moved}:6443`))
    await until('clients, too', 20_000, async () => (await endpoints(h1)).includes(moved))
    await must(h3, 'create', 'configmap', 'from-elsewhere')
    await cluster.stop(h3)
    cluster.start(h3)
    await cluster.waitForApi(h3)
    await until('and the old one again', 20_000, async () => (await members(h1, 'list')).includes(`${h3.ip}:6443`))
  })

  it('let a server go whose Node is deleted: it says so and stops, now and at its next start', async () => {
    await must(h1, 'delete', 'node', 'h3')
    await until('it has ended', 30_000, () => !isRunning(h3))
    assert.match(h3.log('skiff'), /this server was removed from its cluster and stops: to join again as a new one, move \S+\/server\/db away/)
    assert.deepEqual(await names(h1), ['h1', 'h2'])
    const again = await server(h3)
    assert.deepEqual([again.code, /was removed from its cluster/.test(again.stderr)], [1, true], again.stderr)
  })

  it('say at once that there is no majority, and go on by themselves when it is there again', async () => {
    await cluster.stop(h2, 'SIGKILL')
    await until('/readyz tells', 15_000, async () => /\[-\]etcd failed/.test((await via(h1, 'get', '--raw', '/readyz?verbose')).stderr))
    const refused = await via(h1, 'create', 'configmap', 'too-early')
    assert.deepEqual([refused.code, /the cluster has no leader: too few of its servers are up/.test(refused.stderr)], [1, true], refused.stderr)
    cluster.start(h2)
    await cluster.waitForApi(h2)
    await until('writes work again', 20_000, async () => (await via(h1, 'create', 'configmap', 'in-time')).code === 0)
  })

  it('can be made one of what is left, which grows again', async () => {
    await cluster.stop(h1, 'SIGKILL')
    await cluster.stop(h2, 'SIGKILL')
    const reset = await server(h2, '--cluster-reset')
    assert.deepEqual([reset.code, reset.stdout.split('\n')[0]], [0, 'The cluster of 2 servers is one of this server alone now.'], reset.stderr)
    cluster.start(h2)
    await cluster.waitForApi(h2)
    assert.match(await must(h2, 'get', 'configmap', '-o', 'name'), /in-time/)
    assert.deepEqual(await names(h2), ['h2'])
    rmSync(join(h1.dataDir, 'server/db'), { recursive: true })
    h1.start('skiff', [SKIFF, 'server', ...nodeFlags(h1), '--node-ip', h1.ip, '--advertise-address', h1.ip, '--server', `https://${h2.ip}:6443`, '--token', cluster.token])
    await cluster.waitForApi(h1)
    await until('both are members', 20_000, async () => (await names(h2)).join() === 'h1,h2')
    assert.match(await must(h1, 'get', 'configmap', '-o', 'name'), /in-time/)
  })

  it('let a server go by a verb, too, and never the last one', async () => {
    const unknown = await h2.run([SKIFF, 'members', 'remove', 'h9', '--kubeconfig', h2.kubeconfig])
    assert.deepEqual([unknown.code, /there is no server "h9"/.test(unknown.stderr)], [1, true], unknown.stderr)
    // Asked of the one that goes.
    assert.match(await members(h1, 'remove', 'h1'), /^h1 is (no server of the cluster any more|on its way out)/)
    await until('it has ended', 30_000, () => !isRunning(h1))
    assert.deepEqual(await names(h2), ['h2'])
    await must(h2, 'create', 'configmap', 'alone-again')
    const last = await h2.run([SKIFF, 'members', 'remove', 'h2', '--kubeconfig', h2.kubeconfig])
    assert.deepEqual([last.code, /h2 is the only server of the cluster/.test(last.stderr)], [1, true], last.stderr)
  })
})
