/** The verbs beside server and agent, with the real binary: kubectl, token, check, completion, version, uninstall. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { assertOneLine, OneHost, SKIFF } from './one-host.ts'

const VERBS = ['server', 'agent', 'kubectl', 'token', 'secrets-encrypt', 'members', 'images', 'snapshot', 'check', 'uninstall', 'completion', 'version']

describe('verbs that need no cluster', { timeout: 600_000 }, () => {
  let lab: OneHost
  before(async () => { lab = await OneHost.create() })
  after(async () => { await lab.lab.destroy() })

  it('tell what they are with --help', async () => {
    const all = await lab.run(['--help'])
    assert.equal(all.code, 0)
    for (const verb of VERBS) {
      assert.match(all.stdout, new RegExp(`^  ${verb} +\\S`, 'm'))
      const { code, stdout, stderr } = await lab.run([verb, '--help'])
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: '' })
      assert.match(stdout, new RegExp(`^skiff ${verb}: .+\n\nUsage: skiff ${verb}`))
    }
    assert.equal((await lab.run([])).code, 2)
  })

  it('version --json can be read by programs', async () => {
    const { stdout } = await lab.run(['version', '--json'])
    const version = JSON.parse(stdout) as Record<string, string>
    assert.deepStrictEqual(Object.keys(version), ['version', 'commit', 'kubernetes', 'node', 'platform'])
    assert.match(version['kubernetes'] ?? '', /^v1\.36\.\d+\+skiff/)
    assert.match((await lab.run(['version'])).stdout, /^skiff \S+ \(\w+\), Kubernetes v1\.36\S+, node v26\S+, linux\/\w+\n$/)
  })

  it('completion scripts are what their shells take, and bash completes verbs, words and flags', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) assert.match((await lab.run(['completion', shell])).stdout, /uninstall/)
    assertOneLine(await lab.run(['completion', 'tcsh']), 2, /bash, zsh or fish/)
    const complete = async (...words: string[]) => {
      const script = `source <(${SKIFF} completion bash); COMP_WORDS=(skiff ${words.map((w) => `'${w}'`).join(' ')}); COMP_CWORD=${words.length}; _skiff; echo "\${COMPREPLY[@]}"`
      return (await lab.host.must(['bash', '-c', script])).trim().split(' ').filter((w) => w !== '')
    }
    assert.deepStrictEqual(await complete('un'), ['uninstall'])
    assert.deepStrictEqual(await complete('token', ''), ['create', 'list', 'delete', '--ttl', '--description', '--json', '--kubeconfig', '--help'])
    assert.deepStrictEqual(await complete('server', '--cluster-'), ['--cluster-init', '--cluster-reset', '--cluster-reset-restore-path', '--cluster-cidr', '--cluster-dns', '--cluster-domain'])
    assert.deepStrictEqual((await complete('snapshot', '')).slice(0, 5), ['save', 'list', 'restore', 'delete', 'prune'])
  })

  it('check passes where the tests run, and says in JSON what it says in lines', async () => {
    const { code, stdout } = await lab.run(['check', '--data-dir', lab.path('data')])
    assert.equal(code, 0, stdout)
    for (const what of ['root', 'runc', 'conmon', 'nft', 'cgroups', 'memory cgroup', 'overlayfs', 'bridge', 'veth', 'vxlan', 'nftables', 'clock', 'data directory', 'disk', 'inotify']) assert.match(stdout, new RegExp(`^(ok|warn) +${what} `, 'm'))
    const findings = JSON.parse((await lab.run(['check', '--json', '--data-dir', lab.path('data')])).stdout) as { level: string; what: string; says: string }[]
    assert.deepStrictEqual(findings.map((f) => f.what), stdout.trim().split('\n').map((l) => l.slice(8, 24).trim()))
    assert.deepStrictEqual(readdirSync(lab.path('data')), [], 'it left something behind')
  })

  it('kubectl and token say what is missing', async () => {
    const nowhere = { KUBECONFIG: '' }
    assertOneLine(await lab.run(['kubectl', 'get', 'pods'], nowhere), 1, /the kubeconfig \/etc\/skiff\/skiff\.yaml cannot be read .*run this as root where skiff server runs/)
    assertOneLine(await lab.run(['token', 'list'], nowhere), 2, /the kubeconfig \/etc\/skiff\/skiff\.yaml cannot be read/)
    assertOneLine(await lab.run(['token']), 2, /needs create, list or delete/)
    assertOneLine(await lab.run(['token', 'create', '--ttl', 'soon']), 2, /--ttl: "soon" is not a duration such as 30m, 24h or 7d/)
    const kubectl = (await lab.host.must(['which', 'kubectl'])).trim()
    await lab.host.must(['mount', '--bind', '/dev/null', kubectl])
    assertOneLine(await lab.run(['kubectl', 'get', 'pods']), 1, /kubectl is not installed on this machine: apt-get install kubernetes-client/)
    await lab.host.must(['umount', kubectl])
  })

  it('uninstall removes nothing that is not skiff\'s', async () => {
    mkdirSync(lab.path('photos'))
    writeFileSync(lab.path('photos/cat.jpg'), 'cat')
    assertOneLine(await lab.run(['uninstall', '--yes', '--data-dir', lab.path('photos'), '--state-dir', lab.path('run')]), 2, /--data-dir: \S+photos holds nothing of skiff's/)
    assertOneLine(await lab.run(['uninstall', '--yes', '--data-dir', '/home', '--state-dir', lab.path('run')]), 2, /is no directory of skiff's/)
    assert.equal(readFileSync(lab.path('photos/cat.jpg'), 'utf8'), 'cat')
  })
})

describe('verbs in a cluster', { timeout: 600_000 }, () => {
  let cluster: Cluster
  before(async () => { cluster = await Cluster.create({ hosts: 1 }) })
  after(async () => { await cluster.destroy() })
  const skiff = (host: LabHost, args: readonly string[], env: Record<string, string> = { KUBECONFIG: '' }) => host.run([SKIFF, ...args], { env })

  it('kubectl runs with the server\'s kubeconfig, its own exit code and its own flags', async () => {
    const { server } = cluster
    assert.match((await skiff(server, ['kubectl', 'get', 'nodes', '-o', 'name'])).stdout, /^node\/h1$/m)
    assert.equal((await skiff(server, ['kubectl', 'get', 'pod', 'nope'])).code, 1)
    assert.match((await skiff(server, ['kubectl', 'get', '--help'])).stdout, /Display one or many resources/)
    assert.match((await skiff(server, ['kubectl', 'get', 'nodes'], { KUBECONFIG: '/nowhere' })).stderr, /refused|no configuration|localhost/)
  })

  it('a created token lets an agent join until it is deleted; the list never shows its secret', async () => {
    const { server } = cluster
    const created = await skiff(server, ['token', 'create', '--ttl', '1h', '--description', 'for h2'])
    const token = created.stdout.trim()
    assert.deepStrictEqual({ code: created.code, stderr: created.stderr }, { code: 0, stderr: '' })
    assert.match(token, /^S10[0-9a-f]{64}::[a-z0-9]{6}\.[a-z0-9]{16}$/)
    const [id = '', secret = ''] = token.split('::')[1]?.split('.') ?? []
    const list = (await skiff(server, ['token', 'list'])).stdout
    assert.match(list, new RegExp(`^ID +TTL +EXPIRES +USAGES +DESCRIPTION\n${id} +59m +\\S+Z +authentication,signing +for h2\n$`))
    assert.ok(!list.includes(secret))
    assert.deepStrictEqual((JSON.parse((await skiff(server, ['token', 'list', '--json'])).stdout) as { id: string }[]).map((t) => t.id), [id])

    const h2 = cluster.lab.addHost()
    const join = (t: string) => ['agent', '--server', `https://${server.ip}:6443`, '--token', t, '--data-dir', h2.dataDir, '--state-dir', h2.stateDir, '--node-name', 'h2', '--node-ip', h2.ip, '--cgroup-root', h2.cgroupRoot, '--log-format', 'text']
    h2.start('skiff', [SKIFF, ...join(token)])
    await cluster.waitForNodes()

    assert.equal((await skiff(server, ['token', 'delete', id])).stdout, `deleted token ${id}: machines that have joined with it stay\n`)
    assertOneLine(await skiff(server, ['token', 'delete', id]), 1, new RegExp(`there is no token ${id}`))
    assert.equal((await skiff(server, ['token', 'list'])).stdout.split('\n').length, 2)
    const h3 = cluster.lab.addHost()
    assertOneLine(await h3.run([SKIFF, ...join(token).map((a) => a.replaceAll('/h2/', '/h3/').replace(/^h2$/, 'h3'))]), 1, /the server does not accept this token/)
  })

  it('uninstall asks for --yes, then leaves nothing: no process, mount, cgroup, device, table, address, file; twice is fine', async () => {
    const h1 = cluster.server
    await cluster.must(['create', 'deployment', 'web', '--image=busybox:1', '--replicas=3', '--', 'sh', '-c', 'sleep 100000'])
    await cluster.must(['create', 'configmap', 'settings', '--from-literal=a=b'])
    await cluster.must(['rollout', 'status', 'deployment/web', '--timeout=60s'])
    const flags = (h: LabHost) => ['--data-dir', h.dataDir, '--state-dir', h.stateDir, '--cgroup-root', h.cgroupRoot, '--write-kubeconfig', h.kubeconfig]
    const bystander = h1.spawn([SKIFF, 'server', '--data-dir', join(h1.dir, 'other'), '--https-listen-port', '7443', '--disable-agent', '--write-kubeconfig', join(h1.dir, 'other.yaml')], { stdio: 'ignore' })
    await until('the other server runs', 20_000, () => existsSync(join(h1.dir, 'other.yaml')))

    const asked = await skiff(h1, ['uninstall', ...flags(h1)])
    assert.equal(asked.code, 2)
    assert.match(asked.stdout, /stop skiff server \(process \d+\)/)
    assert.match(asked.stderr, /^skiff: this cannot be undone: skiff uninstall --yes does it\n$/)
    assert.equal((await cluster.kubectl(['get', '--raw', '/readyz'])).stdout, 'ok')

    for (const host of cluster.lab.hosts.slice(0, 2).reverse()) {
      const done = await skiff(host, ['uninstall', '--yes', ...flags(host)])
      assert.deepStrictEqual({ code: done.code, stderr: done.stderr }, { code: 0, stderr: '' }, done.stdout)
      assert.match(done.stdout, /stopped skiff (server|agent) \(process \d+\)/)
      await assertNothingLeft(host)
      const again = await skiff(host, ['uninstall', '--yes', ...flags(host)])
      assert.deepStrictEqual({ code: again.code, stderr: again.stderr, lines: again.stdout.split('\n').length }, { code: 0, stderr: '', lines: 2 }, again.stdout)
    }
    assert.equal(bystander.exitCode, null, 'another server was stopped')
    assert.ok(existsSync(join(h1.dir, 'other/server/db')))
  })

  async function assertNothingLeft(host: LabHost): Promise<void> {
    const lines = async (...command: string[]) => (await host.must(command)).split('\n').filter((l) => l !== '')
    const ours = host.processes().filter((p) => !p.command.includes('/other') && !p.command.includes('nsenter'))
    assert.deepStrictEqual(ours, [], 'processes')
    assert.deepStrictEqual((await lines('cat', '/proc/mounts')).filter((l) => l.includes(host.dataDir) || l.includes(host.stateDir)), [], 'mounts')
    assert.deepStrictEqual((await lines('ip', '-o', 'link')).map((l) => l.split(': ')[1]?.split('@')[0]).filter((n) => !['lo', 'eth0'].includes(n ?? '')), [], 'devices')
    assert.deepStrictEqual(await lines('nft', 'list', 'tables'), [], 'tables')
    assert.deepStrictEqual((await lines('ip', '-4', '-o', 'addr', 'show', 'dev', 'lo')).map((l) => / inet (\S+)/.exec(l)?.[1]), ['127.0.0.1/8'], 'addresses')
    assert.deepStrictEqual((await lines('ip', 'route')).filter((l) => /10\.4[23]\./.test(l)), [], 'routes')
    assert.deepStrictEqual((await lines('find', '/sys/fs/cgroup', '-type', 'd', '-path', `*${host.cgroupRoot}*`)), [], 'cgroups')
    for (const path of [host.dataDir, host.stateDir, host.kubeconfig]) assert.ok(!existsSync(path) || readdirSync(path).length === 0, path)
    assert.deepStrictEqual([...await lines('ls', '/var/log/pods'), ...await lines('ls', '/var/log/containers')], [], 'logs')
  }
})
