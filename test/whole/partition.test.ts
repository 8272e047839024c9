/** The cable of the leading server is pulled; then it hears nobody, or nobody hears it: the others go on, and it comes back to them. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import type { LabHost } from '../lab/host.ts'
import { leaderOf } from '../lab/leader.ts'

describe('a leader that cannot be reached', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const written: string[] = []
  before(async () => { cluster = await Cluster.create({ hosts: 3, servers: 3, serverFlags: ['--disable-agent', '--disable-snapshots'], waitForNodes: false }) })
  after(() => cluster?.destroy())

  const create = (host: LabHost, name: string) => host.run(['kubectl', '--kubeconfig', host.kubeconfig, '--request-timeout', '12s', 'create', 'configmap', name])
  const others = (leader: LabHost) => cluster.servers.filter((h) => h !== leader)
  /** What each shows, of what was acknowledged or refused. */
  const shown = async (host: LabHost) => {
    const { code, stdout, stderr } = await host.run(['kubectl', '--kubeconfig', host.kubeconfig, 'get', 'configmaps', '-o', 'name', '--field-selector', 'metadata.name!=kube-root-ca.crt'])
    assert.equal(code, 0, stderr)
    return stdout.trim().split('\n').map((n) => n.replace('configmap/', ''))
  }

  const misfortunes: readonly (readonly [string, (leader: LabHost) => void, (leader: LabHost) => void])[] = [
    ['cable', (leader) => leader.cutCable(), (leader) => leader.healCable()],
    ['hears-nobody', (leader) => { for (const h of others(leader)) leader.cutFrom(h, 'in') }, (leader) => leader.healCuts()],
    ['heard-by-nobody', (leader) => { for (const h of others(leader)) leader.cutFrom(h, 'out') }, (leader) => leader.healCuts()],
  ]
  for (const [name, cut, heal] of misfortunes) {
    it(`${name}: the others take writes, it takes none, and shows theirs when it is back`, async () => {
      const leader = await leaderOf(cluster)
      const [first, second] = others(leader) as [LabHost, LabHost]
      assert.equal((await create(leader, `${name}-before`)).code, 0)
      written.push(`${name}-before`)
      cut(leader)
      // Nobody may be told that this is stored: the others never hear of it.
      const alone = create(leader, `${name}-alone`)
      let tries = 0
      await until('the others take writes', 30_000, async () => (await create(second, `${name}-during-${++tries}`)).code === 0)
      assert.equal((await create(first, `${name}-after`)).code, 0)
      const { code, stderr } = await alone
      assert.notEqual(code, 0, `a leader without the others said that it stored something: ${stderr}`)
      const stale = await leader.run(['kubectl', '--kubeconfig', leader.kubeconfig, '--request-timeout', '12s', 'get', 'configmap', `${name}-before`])
      assert.notEqual(stale.code, 0, 'a leader without the others answered a read')
      heal(leader)
      await until('it takes writes again', 60_000, async () => (await create(leader, `${name}-back-${++tries}`)).code === 0)
      const [one, two, three] = [await shown(leader), await shown(first), await shown(second)]
      assert.deepEqual([two, three], [one, one])
      for (const expected of [`${name}-after`, ...written]) assert.ok(one.includes(expected), `${expected} is lost`)
      // It may have been written by the next leader, or never; the answer was that nobody knows, or that it was not.
      assert.ok(one.filter((n) => n === `${name}-alone`).length <= 1)
    })
  }

  it('one that was stopped for a while, and does not know it, takes back nothing and answers nothing that is old', async () => {
    const leader = await leaderOf(cluster)
    const [first] = others(leader) as [LabHost]
    const pids = leader.processes().filter((p) => / server /.test(p.command) && !p.command.startsWith('nsenter')).map((p) => p.pid)
    for (const pid of pids) kill(pid, 'SIGSTOP')
    let tries = 0
    try {
      await until('the others take writes', 30_000, async () => (await create(first, `paused-during-${++tries}`)).code === 0)
    } finally {
      for (const pid of pids) kill(pid, 'SIGCONT')
    }
    // Asked at once: it may refuse, and may wait, but must not say that what the others stored is not there.
    const { code, stdout, stderr } = await leader.run(['kubectl', '--kubeconfig', leader.kubeconfig, '--request-timeout', '20s', 'get', 'configmap', `paused-during-${tries}`, '-o', 'name'])
    assert.ok(code === 0 ? stdout === `configmap/paused-during-${tries}\n` : !/NotFound/.test(stderr), `${stdout}${stderr}`)
    await until('it takes writes again', 60_000, async () => (await create(leader, `paused-back-${++tries}`)).code === 0)
  })
})
