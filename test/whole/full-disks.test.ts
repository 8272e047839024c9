/** The disk of one of three servers is full, first a follower's, then the leader's: the others take writes, nothing is lost, and it comes back by itself when there is room. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { leaderOf } from '../lab/leader.ts'

describe('a full disk of one of three servers', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const written: string[] = []
  before(async () => {
    cluster = await Cluster.create({
      hosts: 3, servers: 3, serverFlags: ['--disable-agent', '--disable-snapshots'], waitForNodes: false,
      async prepare(host) {
        await host.must(['mount', '-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', host.dataDir])
        return []
      },
    })
  })
  after(() => cluster?.destroy())

  const kubectl = (host: LabHost, ...args: string[]) => host.run(['kubectl', '--kubeconfig', host.kubeconfig, '--request-timeout', '12s', ...args])
  const others = (host: LabHost) => cluster.servers.filter((h) => h !== host)
  const servers = (host: LabHost) => host.processes().filter((p) => / server /.test(p.command) && !p.command.startsWith('nsenter')).map((p) => p.pid)
  const ballast = (host: LabHost) => `${host.dataDir}/ballast`
  /** To the last byte. */
  const fill = (host: LabHost) => host.run(['dd', 'if=/dev/zero', `of=${ballast(host)}`, 'bs=64K'])
  const make = async (host: LabHost, name: string) => {
    const made = await kubectl(host, 'create', 'configmap', name)
    if (made.code === 0) written.push(name)
    return made
  }
  const shown = async (host: LabHost) => {
    const { code, stdout, stderr } = await kubectl(host, 'get', 'configmaps', '-o', 'name', '--field-selector', 'metadata.name!=kube-root-ca.crt')
    assert.equal(code, 0, stderr)
    return stdout.trim().split('\n').map((n) => n.replace('configmap/', '')).toSorted()
  }
  async function cameBack(host: LabHost, name: string): Promise<void> {
    let tries = 0
    await until(`${host.name} takes writes again`, 60_000, async () => (await make(host, `${name}-back-${++tries}`)).code === 0)
    const everywhere = await Promise.all(cluster.servers.map(shown))
    for (const names of everywhere.slice(1)) assert.deepEqual(names, everywhere[0])
    // An answer that was lost may have been a write.
    for (const acknowledged of written) assert.ok(everywhere[0]?.includes(acknowledged), `${acknowledged} is lost`)
  }

  it('a follower: the others take writes; it says that its disk is full, and lives', async () => {
    const leader = await leaderOf(cluster)
    const [full, other] = others(leader) as [LabHost, LabHost]
    const before = servers(full)
    await fill(full)
    for (const host of [leader, other]) for (let n = 0; n < 5; n++) assert.equal((await make(host, `follower-${host.name}-${n}`)).code, 0)
    await until('it says so', 30_000, () => /disk/i.test(full.log('skiff')))
    assert.deepEqual(servers(full), before)
    await full.must(['rm', ballast(full)])
    await cameBack(full, 'follower')
    assert.deepEqual(servers(full), before)
  })

  it('the leader: another one leads and takes writes; nothing that was acknowledged is lost', async () => {
    const full = await leaderOf(cluster)
    const before = servers(full)
    const [first, second] = others(full) as [LabHost, LabHost]
    await fill(full)
    let tries = 0
    await until('the others take writes', 30_000, async () => (await make(first, `leader-${++tries}`)).code === 0)
    for (let n = 0; n < 5; n++) assert.equal((await make(second, `leader-after-${n}`)).code, 0)
    assert.notEqual((await leaderOf(cluster)).name, full.name)
    assert.deepEqual(servers(full), before)
    await full.must(['rm', ballast(full)])
    await cameBack(full, 'leader')
    assert.deepEqual(servers(full), before)
  })
})
