/** Snapshots and external etcd with the real binary: saved, stored in S3, restored on a new disk; a server whose store is elsewhere. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { noEtcd } from '#server/store/etcd/etcd.test-support.ts'
import { until } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import { assertOneLine, OneHost, SKIFF } from './one-host.ts'

const SERVER = /skiff\S* server /
const S3_PORT = 9000
const S3 = ['--s3', '--s3-endpoint', `127.0.0.1:${S3_PORT}`, '--s3-insecure', '--s3-bucket', 'backups', '--s3-folder', 'shed']
const S3_KEYS = { SKIFF_S3_ACCESS_KEY: 'AKIASKIFF', SKIFF_S3_SECRET_KEY: 'not-to-be-seen' }

describe('snapshots', { timeout: 600_000 }, () => {
  let lab: OneHost
  let server: ReturnType<OneHost['start']>
  const state = { saved: '' }
  const run = (words: readonly string[], env: Record<string, string> = {}, name = 'data') => lab.run(['snapshot', ...words, '--data-dir', lab.path(name)], { KUBECONFIG: lab.path('data.yaml'), ...env })
  const must = async (words: readonly string[], env: Record<string, string> = {}, name = 'data') => {
    const { code, stdout, stderr } = await run(words, env, name)
    assert.equal(code, 0, stderr)
    return stdout
  }
  const kubectl = async (args: readonly string[], name = 'data') => {
    const { code, stdout, stderr } = await lab.kubectl(args, { name })
    assert.equal(code, 0, stderr)
    return stdout
  }
  const local = (name = 'data') => readdirSync(lab.path(`${name}/server/snapshots`)).sort()
  const s3Holds = () => lab.host.log('s3').trimEnd().split('\n').filter((l) => l.startsWith('holds')).at(-1)?.split(' ').slice(1).filter((k) => k !== '') ?? []

  before(async () => {
    lab = await OneHost.create()
    lab.host.start('s3', [process.execPath, join(import.meta.dirname, 's3-server.ts'), String(S3_PORT)])
    await until('the S3 server listens', 15_000, () => lab.host.log('s3').includes('listening'))
    server = lab.start('server', [...lab.serverFlags(), '--secrets-encryption', '--disable-snapshots'])
    await lab.waitForApi()
    await kubectl(['create', 'secret', 'generic', 'door', '--from-literal=code=open-sesame'])
    await kubectl(['create', 'configmap', 'before', '--from-literal=a=b'])
  })
  after(async () => { await lab.lab.destroy() })

  it('save takes one of the running server; nobody but its owner can read it, and no Secret is in it in the clear', async () => {
    const said = await must(['save'])
    const [, name = '', location = ''] = /^Snapshot (on-demand-h1-\d+) saved: (file:\/\/\S+)\n$/.exec(said) ?? []
    assert.equal(location, `file://${lab.path(`data/server/snapshots/${name}`)}`)
    assert.equal((statSync(new URL(location)).mode & 0o777).toString(8), '600')
    assert.equal((statSync(lab.path('data/server/snapshots')).mode & 0o777).toString(8), '700')
    state.saved = name
    const [header, row] = (await must(['list'])).trimEnd().split('\n')
    assert.match(header ?? '', /^Name +Location +Size +Created$/)
    assert.match(row ?? '', new RegExp(`^${name} +${location} +\\d+ +\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$`))
    const [listed] = JSON.parse(await must(['list', '--json'])) as Record<string, unknown>[]
    assert.deepEqual(Object.keys(listed ?? {}), ['name', 'location', 'size', 'createdAt'])
  })

  it('only system:masters get one, whatever roles say', async () => {
    await kubectl(['create', 'serviceaccount', 'boss'])
    await kubectl(['create', 'clusterrolebinding', 'boss', '--clusterrole=cluster-admin', '--serviceaccount=default:boss'])
    const token = (await kubectl(['create', 'token', 'boss'])).trim()
    const ask = (headers: readonly string[]) => lab.host.run(['curl', '-sk', ...headers, 'https://127.0.0.1:6443/db/snapshot'])
    const refused = JSON.parse((await ask(['-H', `Authorization: Bearer ${token}`])).stdout) as { code: number; message: string }
    assert.deepEqual([refused.code, /only members of system:masters/.test(refused.message)], [403, true])
    assert.equal((JSON.parse((await ask([])).stdout) as { code: number }).code, 403)
  })

  it('keeps to S3 with --s3: save, list, delete and prune there as well; keys are never taken from the command line', async () => {
    assertOneLine(await run(['save', ...S3, '--s3-secret-key', 'x']), 2, /--s3-secret-key: every user of this machine could read it: put it into the config file, or set SKIFF_S3_SECRET_KEY/)
    assertOneLine(await run(['save', ...S3]), 2, /--s3 needs keys/)
    const wrong = await run(['list', ...S3], { ...S3_KEYS, SKIFF_S3_SECRET_KEY: 'a-wrong-one' })
    assertOneLine(wrong, 1, /SignatureDoesNotMatch/)
    assert.ok(!wrong.stderr.includes('a-wrong-one'))
    for (let i = 0; i < 3; i++) {
      await must(['save', '--name', 'hand', ...S3], S3_KEYS)
      await new Promise((resolve) => { setTimeout(resolve, 1_000) }) // Names are of whole seconds.
    }
    assert.deepEqual(s3Holds(), local().filter((n) => n.startsWith('hand-')).map((n) => `shed/${n}`))
    assert.equal((await must(['list', ...S3], S3_KEYS)).match(/^hand-h1-\d+ +s3:\/\/backups\/shed\/hand-h1-\d+ /gm)?.length, 3)
    await must(['prune', '--name', 'hand', '--node-name', 'h1', '--snapshot-retention', '1', ...S3], S3_KEYS)
    assert.deepEqual([s3Holds().length, local().filter((n) => n.startsWith('hand-')).length], [1, 1])
    const [last = ''] = local().filter((n) => n.startsWith('hand-'))
    await must(['delete', last], S3_KEYS)
    assertOneLine(await run(['delete', last]), 1, new RegExp(`there is no snapshot ${last}`))
    // Of the Secret, as k3s has it.
    await kubectl(['-n', 'kube-system', 'create', 'secret', 'generic', 's3', '--from-literal=etcd-s3-access-key=AKIASKIFF', '--from-literal=etcd-s3-secret-key=not-to-be-seen', '--from-literal=etcd-s3-bucket=backups', '--from-literal=etcd-s3-folder=shed', `--from-literal=etcd-s3-endpoint=127.0.0.1:${S3_PORT}`, '--from-literal=etcd-s3-insecure=true'])
    assert.match(await must(['list', '--s3', '--s3-config-secret', 's3']), new RegExp(`^${last} +s3://`, 'm'))
  })

  it('restore wants the server stopped and the cluster\'s token', async () => {
    assertOneLine(await run(['restore', state.saved]), 1, /skiff server runs on \S+data: stop it first/)
    assertOneLine(await run(['restore', lab.path(`data/server/snapshots/${state.saved}`)], {}, 'elsewhere'), 2, /--token: a snapshot's keys are sealed with the token its cluster had/)
    assertOneLine(await run(['restore', lab.path(`data/server/snapshots/${state.saved}`)], { SKIFF_TOKEN: 'guessed' }, 'elsewhere'), 1, /the token is not the one the cluster had/)
    assert.ok(!existsSync(lab.path('elsewhere/server/tls')))
  })

  it('a new disk has the cluster of the snapshot: its certificates, its encrypted Secrets, and nothing that came later', async () => {
    await kubectl(['create', 'configmap', 'after', '--from-literal=a=b'])
    const revision = Number(JSON.parse(await kubectl(['get', '--raw', '/api/v1/configmaps?limit=1'])).metadata.resourceVersion)
    const token = readFileSync(lab.path('data/server/token'), 'utf8').trim()
    assert.equal(await lab.stop(server, SERVER), 0)
    assert.match(await must(['restore', lab.path(`data/server/snapshots/${state.saved}`)], { SKIFF_TOKEN: token }, 'new'), /^Restored the cluster as it was on h1 at \S+Z: \d+ objects\.\nStart skiff server/)
    rmSync(lab.path('data.yaml'))
    server = lab.start('server-new', lab.serverFlags('new'))
    await lab.waitForApi('new')
    assert.equal(Buffer.from(await kubectl(['get', 'secret', 'door', '-o', 'jsonpath={.data.code}'], 'new'), 'base64').toString(), 'open-sesame')
    assert.equal(await kubectl(['get', 'configmaps', '-o', 'name', '--field-selector', 'metadata.name!=kube-root-ca.crt'], 'new'), 'configmap/before\n')
    assert.equal(readFileSync(lab.path('new/server/tls/server-ca.crt'), 'utf8'), readFileSync(lab.path('data/server/tls/server-ca.crt'), 'utf8'))
    assert.equal(readFileSync(lab.path('new/server/token'), 'utf8').trim(), token)
    // Clients that knew later revisions must not wait for them to come again.
    assert.ok(Number(JSON.parse(await kubectl(['get', '--raw', '/api/v1/configmaps?limit=1'], 'new')).metadata.resourceVersion) > revision)
    await kubectl(['create', 'secret', 'generic', 'later', '--from-literal=a=b'], 'new')
    assert.equal(await lab.stop(server, SERVER), 0)
  })

  it('an old disk goes back to it, keeping what it had', async () => {
    assert.match(await must(['restore', state.saved]), new RegExp(`What was here before is in ${lab.path('data/server/before-restore')}\\.`))
    server = lab.start('server-again', [...lab.serverFlags(), '--cluster-init', '--disable-snapshots'])
    await lab.waitForApi()
    assert.equal(await kubectl(['get', 'configmaps', '-o', 'name', '--field-selector', 'metadata.name!=kube-root-ca.crt']), 'configmap/before\n')
    assert.equal(await lab.stop(server, SERVER), 0)
  })

  it('are taken by schedule, here and in S3, and only the newest few are kept; a failure is an Event', async () => {
    const keys = lab.path('aws-credentials')
    writeFileSync(keys, '[other]\naws_access_key_id = x\n[default]\naws_access_key_id = AKIASKIFF\naws_secret_access_key = not-to-be-seen\n', { mode: 0o600 })
    rmSync(lab.path('data.yaml'))
    server = lab.start('server-schedule', [...lab.serverFlags(), '--snapshot-schedule-cron', '@every 1s', '--snapshot-retention', '2', '--snapshot-name', 'timed', ...S3, '--s3-credentials-file', keys])
    await lab.waitForApi()
    const timed = () => s3Holds().filter((k) => k.startsWith('shed/timed-h1-'))
    await until('there are two in S3', 20_000, () => timed().length === 2)
    const [first = ''] = timed()
    await until('the older one went', 20_000, () => !timed().includes(first))
    assert.ok(local().filter((n) => n.startsWith('timed-h1-')).length <= 3)
    assert.match(await kubectl(['get', 'events', '-A', '--field-selector', 'reason=SnapshotSaved']), /Snapshot timed-h1-\d+ saved to file:/)
    for (const process_ of lab.host.processes().filter((p) => p.command.includes('s3-server.ts'))) kill(process_.pid)
    await until('the failure is told', 30_000, async () => /could not be stored elsewhere; it is in the directory: the S3 storage 127\.0\.0\.1:9000 cannot be reached/.test(await kubectl(['get', 'events', '-A', '--field-selector', 'reason=SnapshotFailed'])))
    assert.ok(!lab.host.log('server-schedule').includes('not-to-be-seen'))
    assert.equal(await lab.stop(server, SERVER), 0)
  })

  it('mistakes in the flags are told at the start', async () => {
    const start = (...flags: string[]) => lab.run([...lab.serverFlags('wrong'), ...flags])
    assertOneLine(await start('--snapshot-schedule-cron', 'at noon'), 2, /--snapshot-schedule-cron: "at noon" is no schedule/)
    assertOneLine(await start('--s3'), 2, /--s3-bucket: --s3 needs the name of a bucket/)
    assertOneLine(await start('--s3', '--s3-bucket', 'b', '--s3-endpoint', 'a b'), 2, /--s3-endpoint: "a b" is not a host/)
    assertOneLine(await start('--datastore-endpoint', 'postgres://u:secret@db/x'), 2, /--datastore-endpoint: only etcd v3 can be used/)
    assertOneLine(await start('--datastore-cafile', '/ca.crt'), 2, /--datastore-cafile: it is for an external etcd: pass --datastore-endpoint, too/)
    assertOneLine(await start('--datastore-endpoint', 'http://127.0.0.1:2379', '--cluster-init'), 2, /--cluster-init: it is for the embedded store/)
  })
})

describe('a server on an external etcd', { skip: noEtcd, timeout: 600_000 }, () => {
  let lab: OneHost
  let server: ReturnType<OneHost['start']>
  const etcd = async () => {
    lab.host.start('etcd', ['etcd', '--data-dir', lab.path('etcd'), '--listen-client-urls', 'http://127.0.0.1:2379', '--advertise-client-urls', 'http://127.0.0.1:2379', '--listen-peer-urls', 'http://127.0.0.1:2380', '--log-level', 'error'])
    await until('etcd answers', 15_000, async () => (await lab.host.run(['curl', '-sf', 'http://127.0.0.1:2379/health'])).code === 0)
  }
  const flags = (name = 'data') => [...lab.serverFlags(name), '--datastore-endpoint', 'http://127.0.0.1:2379']
  before(async () => {
    lab = await OneHost.create()
    await etcd()
    server = lab.start('server', flags())
    await lab.waitForApi()
  })
  after(async () => { await lab.lab.destroy() })

  it('keeps everything there and nothing here', async () => {
    assert.equal((await lab.kubectl(['create', 'configmap', 'kept', '--from-literal=a=b'])).code, 0)
    assert.ok(!existsSync(lab.path('data/server/db')))
    assert.match(await lab.host.must(['curl', '-s', 'http://127.0.0.1:2379/v3/kv/range', '-d', JSON.stringify({ key: Buffer.from('/registry/core/configmaps/default/kept').toString('base64'), count_only: true })]), /"count":"1"/)
  })

  it('says 503 while etcd is away, and goes on when it is back', async () => {
    for (const p of lab.host.processes().filter((q) => q.command.startsWith('etcd ') || q.command.includes('/etcd '))) kill(p.pid)
    await until('it is not ready', 30_000, async () => (await lab.kubectl(['get', '--raw', '/readyz', '--request-timeout', '25s'], { timeoutMs: 40_000 })).code !== 0)
    await etcd()
    await until('it works again', 40_000, async () => (await lab.kubectl(['create', 'configmap', 'after', '--from-literal=a=b'])).code === 0)
    assert.match((await lab.kubectl(['get', 'configmaps', '-o', 'name'])).stdout, /configmap\/after\nconfigmap\/kept\n/)
  })

  it('another machine with the token is the same cluster, one without is told what is missing', async () => {
    assert.equal(await lab.stop(server, SERVER), 0)
    assertOneLine(await lab.run(flags('other')), 2, /--token: this etcd has a cluster already/)
    assertOneLine(await lab.run([...flags('other'), '--token', 'guessed']), 1, /--token is not the token of the cluster in this etcd/)
    server = lab.start('server-other', [...flags('other'), '--token', readFileSync(lab.path('data/server/token'), 'utf8').trim()])
    await lab.waitForApi('other')
    assert.match((await lab.kubectl(['get', 'configmaps', '-o', 'name'], { name: 'other' })).stdout, /configmap\/kept\n/)
    assert.equal(readFileSync(lab.path('other/server/tls/client-ca.key'), 'utf8'), readFileSync(lab.path('data/server/tls/client-ca.key'), 'utf8'))
    assert.equal(await lab.stop(server, SERVER), 0)
  })

  it('the embedded store moves there by a snapshot', async () => {
    server = lab.start('embedded', lab.serverFlags('embedded'))
    await lab.waitForApi('embedded')
    assert.equal((await lab.kubectl(['create', 'configmap', 'mine', '--from-literal=a=b'], { name: 'embedded' })).code, 0)
    const at = ['--data-dir', lab.path('embedded')]
    assert.equal((await lab.run(['snapshot', 'save', ...at], { KUBECONFIG: lab.path('embedded.yaml') })).code, 0)
    assert.equal(await lab.stop(server, SERVER), 0)
    const [name = ''] = readdirSync(lab.path('embedded/server/snapshots'))
    const there = ['--datastore-endpoint', 'http://127.0.0.1:2379', '--etcd-prefix', '/mine']
    const moved = await lab.run(['snapshot', 'restore', name, ...at, ...there])
    assert.match(moved.stdout, /^Restored the cluster as it was on h1/, moved.stderr)
    assertOneLine(await lab.run(['snapshot', 'restore', name, ...at, ...there]), 1, /only be restored into an empty store/)
    rmSync(lab.path('embedded.yaml'))
    server = lab.start('moved', [...lab.serverFlags('embedded'), ...there])
    await lab.waitForApi('embedded')
    assert.equal((await lab.kubectl(['get', 'configmap', 'mine', '-o', 'name'], { name: 'embedded' })).stdout, 'configmap/mine\n')
  })
})

describe('two servers on one external etcd', { skip: noEtcd, timeout: 600_000 }, () => {
  let lab: OneHost
  const kubectl = (name: string, args: readonly string[]) => (name === 'h1' ? lab.host : second()).run(['env', `KUBECACHEDIR=${lab.path(`cache-${name}`)}`, 'kubectl', '--kubeconfig', lab.path(`${name}.yaml`), ...args])
  const second = () => lab.lab.hosts[1] as typeof lab.host
  const must = async (name: string, args: readonly string[]) => {
    const { code, stdout, stderr } = await kubectl(name, args)
    assert.equal(code, 0, stderr)
    return stdout
  }
  const startServer = (name: string, more: readonly string[] = []) => (name === 'h1' ? lab.host : second()).start(name, [
    SKIFF, 'server', '--data-dir', lab.path(name), '--state-dir', lab.path(`run-${name}`), '--node-name', name, '--disable-agent', '--write-kubeconfig', lab.path(`${name}.yaml`), '--log-format', 'text', '--datastore-endpoint', `http://${lab.host.ip}:2379`, ...more,
  ])
  const ready = (name: string) => until(`${name} is ready`, 40_000, async () => existsSync(lab.path(`${name}.yaml`)) && (await kubectl(name, ['get', '--raw', '/readyz'])).stdout === 'ok')
  const holder = async (at: string, lease: string) => (await must(at, ['-n', 'kube-system', 'get', 'lease', lease, '-o', 'jsonpath={.spec.holderIdentity}'])).split('_')[0]
  const addresses = async (at: string) => must(at, ['get', 'endpoints', 'kubernetes', '-o', 'jsonpath={.subsets[*].addresses[*].ip}'])

  before(async () => {
    lab = await OneHost.create()
    lab.lab.addHost()
    lab.host.start('etcd', ['etcd', '--data-dir', lab.path('etcd'), '--listen-client-urls', `http://${lab.host.ip}:2379`, '--advertise-client-urls', `http://${lab.host.ip}:2379`, '--listen-peer-urls', 'http://127.0.0.1:2380', '--log-level', 'error'])
    await until('etcd answers', 15_000, async () => (await lab.host.run(['curl', '-sf', `http://${lab.host.ip}:2379/health`])).code === 0)
    startServer('h1', ['--secrets-encryption'])
    await ready('h1')
    startServer('h2', ['--token', readFileSync(lab.path('h1/server/token'), 'utf8').trim()])
    await ready('h2')
  })
  after(async () => { await lab.lab.destroy() })

  it('are one cluster: both serve, one of them works', async () => {
    await until('clients get both addresses', 15_000, async () => (await addresses('h1')) === [lab.host.ip, second().ip].sort().join(' '))
    assert.deepEqual([await holder('h2', 'kube-controller-manager'), await holder('h2', 'kube-scheduler')], ['h1', 'h1'])
    await must('h2', ['create', 'deployment', 'web', '--image=busybox:1', '--replicas=2'])
    await until('its pods are made, once', 20_000, async () => (await must('h1', ['get', 'pods', '-o', 'name'])).trim().split('\n').length === 2)
  })

  it('what one has written the other one reads at once', async () => {
    for (let i = 0; i < 10; i++) {
      await must(i % 2 === 0 ? 'h1' : 'h2', ['create', 'configmap', `seen-${i}`])
      assert.match(await must(i % 2 === 0 ? 'h2' : 'h1', ['get', 'configmaps', '-o', 'name']), new RegExp(`configmap/seen-${i}\n`))
    }
  })

  it('have the same keys of encryption, whichever of them changes those', async () => {
    await must('h1', ['create', 'secret', 'generic', 'door', '--from-literal=code=open-sesame'])
    const code = async (name: string) => Buffer.from(await must(name, ['get', 'secret', 'door', '-o', 'jsonpath={.data.code}']), 'base64').toString()
    const keys = (name: string) => readFileSync(lab.path(`${name}/server/cred/encryption-config.json`), 'utf8')
    const before = keys('h1')
    const rotated = await second().run([SKIFF, 'secrets-encrypt', 'rotate-keys', '--data-dir', lab.path('h2'), '--kubeconfig', lab.path('h2.yaml')])
    assert.match(rotated.stdout, /1 old key is forgotten\n$/, rotated.stderr)
    await until('both have noted the new key', 10_000, () => Promise.resolve(keys('h1') === keys('h2') && keys('h1') !== before))
    assert.deepEqual([await code('h1'), await code('h2')], ['open-sesame', 'open-sesame'])
    const stored = await lab.host.must(['curl', '-s', `http://${lab.host.ip}:2379/v3/kv/range`, '-d', JSON.stringify({ key: Buffer.from('/registry/core/secrets/default/door').toString('base64') })])
    assert.match(Buffer.from((JSON.parse(stored) as { kvs: { value: string }[] }).kvs[0]?.value ?? '', 'base64').toString('latin1'), /^k8s:enc:aesgcm:v1:aesgcmkey-/)
  })

  it('when one is killed the other one takes over, and clients are told', async () => {
    for (const p of lab.host.processes().filter((q) => SERVER.test(q.command))) kill(p.pid)
    await until('its address goes', 40_000, async () => (await addresses('h2')) === second().ip)
    await until('its work is taken over', 40_000, async () => (await holder('h2', 'kube-controller-manager')) === 'h2')
    await must('h2', ['scale', 'deployment', 'web', '--replicas=4'])
    await until('there are more pods', 20_000, async () => (await must('h2', ['get', 'pods', '-o', 'name'])).trim().split('\n').length === 4)
  })
})

describe('a snapshot of several servers', { timeout: 600_000 }, () => {
  let lab: OneHost
  type Host = OneHost['host']
  const hosts = () => lab.lab.hosts as unknown as readonly [Host, Host]
  const kubectl = (host: Host, args: readonly string[]) => host.run(['env', `KUBECACHEDIR=${join(host.dir, 'kubectl-cache')}`, 'kubectl', '--kubeconfig', host.kubeconfig, ...args])
  const must = async (host: Host, args: readonly string[]) => {
    const { code, stdout, stderr } = await kubectl(host, args)
    assert.equal(code, 0, stderr)
    return stdout
  }
  const start = async (host: Host, log: string, ...flags: string[]) => {
    rmSync(host.kubeconfig, { force: true })
    host.start(log, [SKIFF, 'server', '--data-dir', host.dataDir, '--state-dir', host.stateDir, '--node-name', host.name, '--node-ip', host.ip, '--disable-agent', '--write-kubeconfig', host.kubeconfig, '--log-format', 'text', ...flags])
    await until(`${host.name} is ready`, 60_000, async () => existsSync(host.kubeconfig) && (await kubectl(host, ['get', '--raw', '/readyz'])).stdout === 'ok')
  }
  const killAll = () => {
    for (const host of hosts()) for (const p of host.processes().filter((q) => SERVER.test(q.command))) kill(p.pid)
  }
  before(async () => {
    lab = await OneHost.create()
    lab.lab.addHost()
    await start(hosts()[0], 'server', '--cluster-init')
    await start(hosts()[1], 'server', '--server', `https://${hosts()[0].ip}:6443`, '--token', readFileSync(join(hosts()[0].dataDir, 'server/token'), 'utf8').trim())
  })
  after(async () => { await lab.lab.destroy() })

  it('saved by one that follows it holds what was written through the other; restored to one, that grows again', async () => {
    const [h1, h2] = hosts()
    const save = async () => {
      await must(h1, ['create', 'configmap', 'before'])
      const { code, stdout, stderr } = await h2.run([SKIFF, 'snapshot', 'save', '--data-dir', h2.dataDir, '--kubeconfig', h2.kubeconfig])
      assert.equal(code, 0, stderr)
      return /saved: file:\/\/(\S+)/.exec(stdout)?.[1] ?? ''
    }
    const file = await save()
    await must(h2, ['create', 'configmap', 'after'])
    killAll()
    const restored = await h2.run([SKIFF, 'snapshot', 'restore', file, '--data-dir', h2.dataDir])
    assert.equal(restored.code, 0, restored.stderr)
    await start(h2, 'alone')
    assert.match((await h2.run([SKIFF, 'members', 'list', '--kubeconfig', h2.kubeconfig])).stdout, /^This server is alone/)
    killAll()
    await start(h2, 'restored', '--cluster-init')
    const configMaps = async (host: Host) => (await must(host, ['get', 'configmaps', '-o', 'name'])).trim().split('\n').filter((n) => n !== 'configmap/kube-root-ca.crt')
    assert.deepEqual(await configMaps(h2), ['configmap/before'])
    rmSync(join(h1.dataDir, 'server'), { recursive: true })
    await start(h1, 'again', '--server', `https://${h2.ip}:6443`, '--token', readFileSync(join(h2.dataDir, 'server/token'), 'utf8').trim())
    await must(h1, ['create', 'configmap', 'grown'])
    assert.deepEqual(await configMaps(h2), ['configmap/before', 'configmap/grown'])
    assert.deepEqual(await configMaps(h1), ['configmap/before', 'configmap/grown'])
    await until('clients get both addresses', 20_000, async () => (await must(h1, ['get', 'endpoints', 'kubernetes', '-o', 'jsonpath={.subsets[*].addresses[*].ip}'])) === [h1.ip, h2.ip].sort().join(' '))
  })
})
