/** All servers but one are lost, and that one's data is no good: a snapshot becomes a cluster of one, which grows to three again. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { SKIFF } from './one-host.ts'

describe('a snapshot in place of a lost cluster', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let [h1, h2, h3] = [] as unknown as [LabHost, LabHost, LabHost]
  const kept = { token: '', snapshot: '', revision: 0 }
  before(async () => {
    cluster = await Cluster.create({ hosts: 3, servers: 3, serverFlags: ['--disable-agent', '--secrets-encryption', '--disable-snapshots'], waitForNodes: false });
    [h1, h2, h3] = cluster.servers as [LabHost, LabHost, LabHost]
  })
  after(() => cluster?.destroy())

  const must = async (host: LabHost, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await host.run(['kubectl', '--kubeconfig', host.kubeconfig, ...args])
    assert.equal(code, 0, `kubectl ${args.join(' ')} through ${host.name}: ${stderr}`)
    return stdout.trim()
  }
  const flags = (host: LabHost, ...more: string[]) => [
    SKIFF, 'server', '--data-dir', host.dataDir, '--state-dir', host.stateDir, '--node-name', host.name, '--node-ip', host.ip, '--advertise-address', host.ip, '--write-kubeconfig', host.kubeconfig,
    '--log-format', 'text', '--disable-agent', '--disable-snapshots', ...more,
  ]
  const members = async (host: LabHost) => (JSON.parse(await host.must([SKIFF, 'members', 'list', '--json', '--kubeconfig', host.kubeconfig])) as { name: string }[]).map((m) => m.name)
  const configMaps = async (host: LabHost) => (await must(host, 'get', 'configmaps', '-o', 'name', '--field-selector', 'metadata.name!=kube-root-ca.crt')).split('\n')
  const revision = async (host: LabHost) => Number((JSON.parse(await must(host, 'get', '--raw', '/api/v1/configmaps?limit=1')) as { metadata: { resourceVersion: string } }).metadata.resourceVersion)

  it('is taken of a running one', async () => {
    await must(h1, 'create', 'configmap', 'before')
    await must(h3, 'create', 'secret', 'generic', 'door', '--from-literal=code=open-sesame')
    const said = await h2.must([SKIFF, 'snapshot', 'save', '--data-dir', h2.dataDir, '--kubeconfig', h2.kubeconfig])
    kept.snapshot = /^Snapshot (\S+) saved/.exec(said)?.[1] ?? ''
    kept.token = readFileSync(join(h2.dataDir, 'server/token'), 'utf8').trim()
    await must(h2, 'create', 'configmap', 'after')
    kept.revision = await revision(h2)
  })

  it('is put there by one command, on a machine that has nothing but it and the token', async () => {
    for (const host of cluster.servers) await cluster.stop(host, 'SIGKILL')
    const copy = join(h2.dir, kept.snapshot)
    cpSync(join(h2.dataDir, 'server/snapshots', kept.snapshot), copy)
    for (const host of cluster.servers) {
      rmSync(host.dataDir, { recursive: true })
      mkdirSync(host.dataDir)
      rmSync(host.kubeconfig, { force: true })
    }
    const guessed = await h2.run(flags(h2, '--cluster-reset', '--cluster-reset-restore-path', copy, '--token', 'guessed'))
    assert.deepEqual([guessed.code, /the token is not the one the cluster had/.test(guessed.stderr)], [1, true], guessed.stderr)
    const done = await h2.run(flags(h2, '--cluster-reset', '--cluster-reset-restore-path', copy, '--token', kept.token))
    assert.equal(done.code, 0, done.stderr)
    assert.match(done.stdout, /^Restored the cluster as it was on h2 at \S+: \d+ objects\./)
    assert.match(done.stdout, /^The cluster is one of this server alone\.$/m)
    h2.start('skiff', flags(h2))
    await cluster.waitForApi(h2)
    assert.deepEqual([await configMaps(h2), await members(h2)], [['configmap/before'], ['h2']])
    assert.equal(Buffer.from(await must(h2, 'get', 'secret', 'door', '-o', 'jsonpath={.data.code}'), 'base64').toString(), 'open-sesame')
    // Clients of before do not wait for revisions that are no more.
    assert.ok(await revision(h2) > kept.revision)
  })

  it('lets in only servers on its own port', async () => {
    const join2 = ['--server', `https://${h2.ip}:6443`, '--token', kept.token]
    const { code, stderr } = await h1.run(flags(h1, ...join2, '--https-listen-port', '7443'))
    assert.deepEqual([code, /--https-listen-port: the servers of the cluster listen on 6443, this one was started with 7443: pass --https-listen-port 6443/.test(stderr)], [2, true], stderr)
  })

  it('grows to three again, which survive the loss of the one that was restored', async () => {
    for (const host of [h1, h3]) {
      host.start('skiff', flags(host, '--server', `https://${h2.ip}:6443`, '--token', kept.token))
      await cluster.waitForApi(host)
    }
    await until('all are members', 20_000, async () => (await members(h1)).join() === 'h1,h2,h3')
    for (const host of cluster.servers) await must(host, 'create', 'configmap', `through-${host.name}`)
    await cluster.stop(h2, 'SIGKILL')
    await until('the others go on', 20_000, async () => (await h3.run(['kubectl', '--kubeconfig', h3.kubeconfig, 'create', 'configmap', 'without-h2'])).code === 0)
    assert.deepEqual(await configMaps(h1), ['before', 'through-h1', 'through-h2', 'through-h3', 'without-h2'].map((n) => `configmap/${n}`))
    assert.equal(Buffer.from(await must(h1, 'get', 'secret', 'door', '-o', 'jsonpath={.data.code}'), 'base64').toString(), 'open-sesame')
    assert.ok(existsSync(join(h1.dataDir, 'server/cred/encryption-config.json')))
  })

  it('a member that comes back on another port is told so and ends, and the others stay as they are', async () => {
    const moved = await h2.run(flags(h2, '--https-listen-port', '7443'))
    assert.deepEqual([moved.code, /the servers of the cluster listen on 6443, this one on 7443: start it with --https-listen-port 6443/.test(moved.stderr)], [1, true], moved.stderr)
    assert.deepEqual((JSON.parse(await h1.must([SKIFF, 'members', 'list', '--json', '--kubeconfig', h1.kubeconfig])) as { address: string }[]).map((m) => m.address), [h1, h2, h3].map((h) => `${h.ip}:6443`))
  })
})
