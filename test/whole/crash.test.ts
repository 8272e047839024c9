/** kill -9 of everything, again and again, under writes: nothing acknowledged is lost, containers do not notice. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const KILLS = 8
const WRITER = join(import.meta.dirname, 'steady-writer.ts')

const POD = (name: string, node: string) => JSON.stringify({
  apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { app: 'crash' } },
  spec: { nodeName: node, terminationGracePeriodSeconds: 1, containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', 'trap "exit 0" TERM; i=0; while true; do i=$((i+1)); echo $i; sleep 0.2; done'] }] },
})

describe('kill -9', { timeout: 600_000 }, () => {
  let cluster: Cluster
  before(async () => { cluster = await Cluster.create({ hosts: 2 }) })
  after(async () => { await cluster.destroy() })

  const hostOf = (name: string): LabHost => {
    const host = cluster.lab.hosts.find((h) => h.name === name)
    if (!host) throw new Error(`no host ${name}`)
    return host
  }
  /** Container id and restart count per pod, as the API tells. */
  const containers = async () => cluster.must(['get', 'pods', '-l', 'app=crash', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.status.phase} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\\n"}{end}'])
  const running = async (count: number) => (await containers()).split('\n').filter((l) => / Running /.test(l)).length === count

  it('of the server, in a loop under writes, loses nothing that was acknowledged, and revisions never go back', async () => {
    await cluster.must(['create', 'namespace', 'crash'])
    const writer = cluster.server.spawn([process.execPath, WRITER, cluster.server.kubeconfig], { stdio: ['pipe', 'pipe', 'inherit'] })
    const acked = new Map<string, number>()
    let last: { final: Record<string, number>; vanished: string[]; backwards: string[]; unwatched: string[] } | undefined
    assert.ok(writer.stdout && writer.stdin)
    createInterface({ input: writer.stdout }).on('line', (line) => {
      const fact = JSON.parse(line) as { acked?: string; rv?: number } & Partial<NonNullable<typeof last>>
      if (fact.acked !== undefined) acked.set(fact.acked, fact.rv ?? 0)
      else last = fact as NonNullable<typeof last>
    })
    for (let kill = 0; kill < KILLS; kill++) {
      const enough = acked.size + 40 + 13 * kill
      await until(`writes are acknowledged after ${kill} kills`, 20_000, () => acked.size >= enough)
      await cluster.stop(cluster.server, 'SIGKILL')
      cluster.start(cluster.server)
    }
    const enough = acked.size + 100
    await until('writes go on after the last kill', 20_000, () => acked.size >= enough)
    writer.stdin.end()
    await until('the writer has told what it saw', 60_000, () => last !== undefined)
    const lost = [...acked].filter(([name, rv]) => last?.final[name] !== rv)
    assert.deepStrictEqual({ lost, vanished: last?.vanished, backwards: last?.backwards, unwatched: last?.unwatched }, { lost: [], vanished: [], backwards: [], unwatched: [] })
    assert.equal(new Set(acked.values()).size, acked.size, 'two writes were given one revision')
  })

  it('of server and agent leaves containers running: same ids, no restarts', async () => {
    for (const [name, node] of [['on-h1', 'h1'], ['on-h2', 'h2']] as const) await cluster.must(['apply', '-f', '-'], { input: POD(name, node) })
    await until('both pods run', 60_000, () => running(2))
    const before = await containers()
    for (let round = 0; round < 3; round++) {
      for (const host of cluster.lab.hosts) await cluster.stop(host, 'SIGKILL')
      for (const host of cluster.lab.hosts) cluster.start(host)
      await cluster.waitForApi()
      await cluster.waitForNodes()
    }
    assert.equal(await containers(), before)
    const count = async () => Number((await cluster.must(['logs', 'on-h2', '--tail=1'])).trim())
    await until('logs can be read again', 20_000, async () => (await cluster.kubectl(['logs', 'on-h2', '--tail=1'])).code === 0)
    const seen = await count()
    await until('the container counts on', 10_000, async () => (await count()) > seen)
    assert.equal((await cluster.must(['exec', 'on-h2', '--', 'echo', 'hello'])).trim(), 'hello')
  })

  it('of an agent: what was deleted meanwhile ends, what was created meanwhile runs, the rest stays', async () => {
    await cluster.must(['apply', '-f', '-'], { input: POD('stays', 'h2') })
    await until('the pod runs', 30_000, async () => /stays Running/.test(await containers()))
    const stays = (await containers()).split('\n').find((l) => l.startsWith('stays'))
    const h2 = hostOf('h2')
    await cluster.stop(h2, 'SIGKILL')
    await cluster.must(['delete', 'pod', 'on-h2', '--wait=false'])
    await cluster.must(['apply', '-f', '-'], { input: POD('meanwhile', 'h2') })
    cluster.start(h2)
    await until('the deleted pod is gone and the new one runs', 60_000, async () => {
      const now = await containers()
      return !now.includes('on-h2') && /meanwhile Running/.test(now)
    })
    assert.equal((await containers()).split('\n').find((l) => l.startsWith('stays')), stays)
    assert.equal(h2.processes().filter((p) => /\bconmon\b/.test(p.command)).length, 2)
  })

  it('SIGTERM ends server and agent with 0; containers run on', async () => {
    const before = await containers()
    for (const host of [...cluster.lab.hosts].reverse()) {
      assert.equal(await cluster.stop(host), 0, host.log('skiff').split('\n').slice(-5).join('\n'))
    }
    assert.equal(hostOf('h2').processes().filter((p) => /\bconmon\b/.test(p.command)).length, 2)
    for (const host of cluster.lab.hosts) cluster.start(host)
    await cluster.waitForApi()
    await cluster.waitForNodes()
    assert.equal(await containers(), before)
  })
})
