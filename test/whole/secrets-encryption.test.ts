/** Keys of encryption at rest on three servers: changed while clients write, while a server is away, and before one joins. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { SKIFF } from './one-host.ts'

describe('keys of encryption at rest on several servers', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let [h1, h2, h3] = [] as unknown as [LabHost, LabHost, LabHost]
  const written = new Map<string, string>()
  before(async () => {
    cluster = await Cluster.create({ hosts: 3, servers: 3, serverFlags: ['--disable-agent', '--secrets-encryption', '--disable-snapshots'], waitForNodes: false });
    [h1, h2, h3] = cluster.servers as [LabHost, LabHost, LabHost]
  })
  after(() => cluster?.destroy())

  const via = (host: LabHost, ...args: string[]) => host.run(['kubectl', '--kubeconfig', host.kubeconfig, ...args])
  const must = async (host: LabHost, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await via(host, ...args)
    assert.equal(code, 0, `kubectl ${args.join(' ')} through ${host.name}: ${stderr}`)
    return stdout
  }
  const keyFile = (host: LabHost) => readFileSync(join(host.dataDir, 'server/cred/encryption-config.json'), 'utf8')
  const keyNames = (host: LabHost) => (JSON.parse(keyFile(host)) as { resources: [{ providers: [{ aesgcm: { keys: { name: string }[] } }] }] }).resources[0].providers[0].aesgcm.keys.map((k) => k.name)
  const create = async (host: LabHost, name: string): Promise<void> => {
    await must(host, 'create', 'secret', 'generic', name, `--from-literal=a=of-${name}`)
    written.set(name, `of-${name}`)
  }
  const rotate = async (host: LabHost): Promise<void> => {
    const { code, stdout, stderr } = await host.run([SKIFF, 'secrets-encrypt', 'rotate-keys', '--data-dir', host.dataDir, '--kubeconfig', host.kubeconfig])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^Secrets are encrypted with the new key aesgcmkey-\S+: \d+ were written anew, 1 old key is forgotten\n$/)
  }
  const held = async (host: LabHost): Promise<Record<string, string>> => {
    const { items } = JSON.parse(await must(host, 'get', 'secrets', '-n', 'default', '-o', 'json')) as { items: { metadata: { name: string }; data?: { a?: string } }[] }
    return Object.fromEntries(items.filter((i) => i.data?.a !== undefined).map((i) => [i.metadata.name, Buffer.from(i.data?.a ?? '', 'base64').toString()]).toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)))
  }
  const expected = () => Object.fromEntries([...written].toSorted(([a], [b]) => (a < b ? -1 : 1)))

  it('are the same everywhere, and change while clients write through all of them', async () => {
    for (const host of cluster.servers) await create(host, `first-${host.name}`)
    const [before] = keyNames(h1)
    assert.deepEqual([keyNames(h2), keyNames(h3)], [[before], [before]])
    const ended = new AbortController()
    const writers = cluster.servers.map(async (host) => {
      for (let n = 0; !ended.signal.aborted; n++) await create(host, `meanwhile-${host.name}-${n}`)
    })
    await until('each has written', 30_000, () => cluster.servers.every((h) => written.has(`meanwhile-${h.name}-1`)))
    await rotate(h2).finally(() => ended.abort())
    await Promise.all(writers)
    const [after] = keyNames(h2)
    assert.notEqual(after, before)
    for (const host of cluster.servers) await until(`${host.name} has noted it`, 10_000, () => keyNames(host).join() === after)
    for (const host of cluster.servers) assert.deepEqual(await held(host), expected())
  })

  it('reach a server that was away before it serves, and one that lost its disk when it joins', async () => {
    await cluster.stop(h3, 'SIGKILL')
    const [old] = keyNames(h3)
    await rotate(h1)
    await create(h2, 'while-it-was-away')
    assert.notEqual(keyNames(h1)[0], old)
    cluster.start(h3)
    await cluster.waitForApi(h3)
    assert.deepEqual([await held(h3), keyFile(h3)], [expected(), keyFile(h1)])
    await create(h3, 'when-it-was-back')
    assert.equal(Buffer.from(await must(h1, 'get', 'secret', 'when-it-was-back', '-o', 'jsonpath={.data.a}'), 'base64').toString(), 'of-when-it-was-back')
    await cluster.stop(h3, 'SIGKILL')
    rmSync(join(h3.dataDir, 'server'), { recursive: true })
    await rotate(h2)
    cluster.start(h3)
    await cluster.waitForApi(h3)
    assert.deepEqual([await held(h3), keyFile(h3)], [expected(), keyFile(h2)])
  })

  it('survive that all servers start anew; the file is only a copy', async () => {
    for (const host of cluster.servers) await cluster.stop(host, 'SIGKILL')
    const key = keyFile(h1)
    rmSync(join(h1.dataDir, 'server/cred/encryption-config.json'))
    for (const host of cluster.servers) cluster.start(host)
    for (const host of cluster.servers) await cluster.waitForApi(host)
    assert.deepEqual([await held(h1), await held(h2), keyNames(h1)], [expected(), expected(), (JSON.parse(key) as { resources: [{ providers: [{ aesgcm: { keys: { name: string }[] } }] }] }).resources[0].providers[0].aesgcm.keys.map((k) => k.name)])
  })

  it('nobody but an administrator of the cluster changes them, and no answer has one in it', async () => {
    const secret = (JSON.parse(keyFile(h1)) as { resources: [{ providers: [{ aesgcm: { keys: [{ secret: string }] } }] }] }).resources[0].providers[0].aesgcm.keys[0].secret
    const answer = await must(h1, 'get', '--raw', '/db/encryption-keys')
    assert.deepEqual([JSON.parse(answer), answer.includes(secret)], [{ keys: keyNames(h1) }, false])
    await must(h1, 'create', 'serviceaccount', 'boss')
    await must(h1, 'create', 'clusterrolebinding', 'boss', '--clusterrole=cluster-admin', '--serviceaccount=default:boss')
    const token = (await must(h1, 'create', 'token', 'boss')).trim()
    const { stdout } = await h1.run(['curl', '-sk', '-X', 'POST', '-H', `Authorization: Bearer ${token}`, 'https://127.0.0.1:6443/db/encryption-keys/rotate'])
    assert.equal((JSON.parse(stdout) as { code: number }).code, 403)
    for (const host of cluster.servers) assert.ok(!host.log('skiff').includes(secret))
  })
})
