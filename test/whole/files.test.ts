/** The files and flags that users rely on, with the real binary: manifests, image archives, registries, config, tokens, signals. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { buildImage, busyboxLayer, ociArchive } from '../images/build-image.ts'
import { until } from '../lab/cluster.ts'
import { assertOneLine, OneHost } from './one-host.ts'

const SERVER = /skiff\S* server /
/** systemd's side of NOTIFY_SOCKET: writes what it is told to a file. */
const SYSTEMD = 'import socket,sys\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nopen(sys.argv[2],"wb").write(s.recv(100))'

/** A pod that runs a while, of an image that no registry has. */
const POD = (image: string) => `apiVersion: v1
kind: Pod
metadata: {name: offline, namespace: shop}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "${image}", imagePullPolicy: IfNotPresent, command: [sleep, "3600"]}]
`

describe('a server told everything by files', { timeout: 600_000 }, () => {
  let lab: OneHost
  let server: ReturnType<OneHost['start']>
  const start = (flags: readonly string[] = []) => lab.host.start('server', ['env', `NOTIFY_SOCKET=${lab.path('notify')}`, 'SKIFF_NODE_TAINT=board=slow:PreferNoSchedule', process.env['SKIFF_BINARY'] ?? `${import.meta.dirname}/../../dist/skiff`, 'server', '--config', lab.path('config.yaml'), ...flags])
  const get = async (...args: string[]) => (await lab.kubectl(['get', ...args])).stdout
  const logLines = () => lab.host.log('server').trimEnd().split('\n')

  before(async () => {
    lab = await OneHost.create()
    const image = await buildImage(lab.path('image'), { layers: [busyboxLayer()], config: { Cmd: ['sh'] } })
    mkdirSync(lab.path('data/agent/images'), { recursive: true })
    mkdirSync(lab.path('data/server/manifests'), { recursive: true })
    writeFileSync(lab.path('data/agent/images/app.tar'), await ociArchive(image, 'example.com/airgap/app:1'))
    writeFileSync(lab.path('data/agent/images/broken.tar.gz'), 'this is no archive')
    writeFileSync(lab.path('data/server/manifests/10-shop.yaml'), `${POD('example.com/airgap/app:1')}---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n`)
    writeFileSync(lab.path('data/server/manifests/20-broken.yaml'), 'a: [')
    writeFileSync(lab.path('data/server/manifests/30-off.yaml'), 'apiVersion: v1\nkind: Namespace\nmetadata: {name: "off"}\n')
    writeFileSync(lab.path('data/server/manifests/30-off.yaml.skip'), '')
    writeFileSync(lab.path('config.yaml'), [
      `data-dir: ${lab.path('data')}`, `state-dir: ${lab.path('run-data')}`, `cgroup-root: ${lab.host.cgroupRoot}`, `write-kubeconfig: ${lab.path('data.yaml')}`, 'write-kubeconfig-mode: "0640"', 'node-name: h1',
      `bind-address: ${lab.host.ip}`, 'https-listen-port: 7443', 'tls-san:', '  - board.example.com', '  - 192.0.2.7', 'node-label: [role=edge, example.com/rack=r1]', 'disable: [dns, proxy]', 'service-cidr: 10.53.0.0/16',
      'token: a-bare-secret', 'agent-token: another-secret', 'log-format: json', '',
    ].join('\n'))
    await lab.host.must(['rm', '-f', lab.path('notify')])
    const systemd = lab.host.start('systemd', ['python3', '-c', SYSTEMD, lab.path('notify'), lab.path('notified')])
    await until('the socket is there', 5_000, () => statSync(lab.path('notify'), { throwIfNoEntry: false }) !== undefined)
    server = start()
    await lab.waitForApi()
    await until('systemd is told', 5_000, () => systemd.exitCode !== null)
  })
  after(async () => { await lab.lab.destroy() })

  it('says READY=1 to systemd', () => assert.equal(readFileSync(lab.path('notified'), 'utf8'), 'READY=1\nSTATUS='))

  it('an agent that cannot join yet tells systemd what it waits for, and is not ready', async () => {
    await lab.host.must(['rm', '-f', lab.path('notify-agent')])
    const systemd = lab.host.start('systemd-agent', ['python3', '-c', SYSTEMD, lab.path('notify-agent'), lab.path('notified-agent')])
    await until('the socket is there', 5_000, () => statSync(lab.path('notify-agent'), { throwIfNoEntry: false }) !== undefined)
    const agent = lab.host.start('agent', ['env', `NOTIFY_SOCKET=${lab.path('notify-agent')}`, process.env['SKIFF_BINARY'] ?? `${import.meta.dirname}/../../dist/skiff`, 'agent', '--server', 'https://127.0.0.1:1', '--token', 'secret', '--data-dir', lab.path('agent-data'), '--config', '/dev/null'])
    await until('systemd is told', 10_000, () => systemd.exitCode !== null)
    assert.equal(readFileSync(lab.path('notified-agent'), 'utf8'), 'STATUS=joining https://127.0.0.1:1')
    agent.kill('SIGTERM')
    await until('it ends', 10_000, () => agent.exitCode !== null || agent.signalCode !== null)
  })

  it('applies manifests, namespaces first, and runs their pods from archives alone', async () => {
    await until('the pod runs', 30_000, async () => (await get('pod', 'offline', '-n', 'shop', '-o', 'jsonpath={.status.phase}')) === 'Running')
    assert.equal((await lab.kubectl(['get', 'namespace', 'off'])).code, 1)
    assert.match(await get('node', 'h1', '-o', 'jsonpath={.status.images[*].names[*]}'), /example\.com\/airgap\/app:1/)
    const errors = logLines().map((l) => JSON.parse(l) as { level: string; msg: string; file?: string }).filter((l) => l.level === 'error').map((l) => l.file?.split('/').at(-1))
    assert.deepEqual(errors.sort((a, b) => String(a).localeCompare(String(b))), ['20-broken.yaml', 'broken.tar.gz'])
    assert.match(await get('events', '-n', 'kube-system'), /ApplyManifestFailed.*20-broken\.yaml: document 1/)
  })

  it('keeps manifests applied, takes them when they come, and leaves the objects when they go', async () => {
    await lab.kubectl(['delete', 'pod', 'offline', '-n', 'shop', '--now'])
    await until('the pod is back', 30_000, async () => (await get('pod', 'offline', '-n', 'shop', '-o', 'jsonpath={.status.phase}')) === 'Running')
    writeFileSync(lab.path('data/server/manifests/20-broken.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mended}\ndata: {a: b}\n')
    await until('the mended file is applied', 10_000, async () => (await get('configmap', 'mended', '-o', 'jsonpath={.data.a}')) === 'b')
    await lab.kubectl(['patch', 'configmap', 'mended', '-p', '{"data":{"a":"c"}}'])
    await until('it is as in the file again', 10_000, async () => (await get('configmap', 'mended', '-o', 'jsonpath={.data.a}')) === 'b')
    rmSync(lab.path('data/server/manifests/20-broken.yaml'))
    const next = (value: string) => {
      writeFileSync(lab.path('data/server/manifests/40-next.yaml'), `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: next}\ndata: {a: ${value}}\n`)
      return until(`the next file says ${value}`, 10_000, async () => (await get('configmap', 'next', '-o', 'jsonpath={.data.a}')) === value)
    }
    await next('one')
    assert.equal(await get('configmap', 'mended', '-o', 'jsonpath={.data.a}'), 'b')
    await lab.kubectl(['delete', 'configmap', 'mended'])
    await next('two')
    assert.equal((await lab.kubectl(['get', 'configmap', 'mended'])).code, 1)
  })

  it('imports archives that come while it runs', async () => {
    const image = await buildImage(lab.path('image2'), { layers: [busyboxLayer()], config: { Cmd: ['sh'], Labels: { version: '2' } } })
    writeFileSync(lab.path('data/agent/images/late.tar'), await ociArchive(image, 'example.com/airgap/late:2'))
    await until('it is imported', 15_000, () => logLines().some((l) => l.includes('imported image') && l.includes('example.com/airgap/late:2')))
  })

  it('does what its flags say', async () => {
    const config = readFileSync(lab.path('data.yaml'), 'utf8')
    assert.match(config, new RegExp(`server: https://${lab.host.ip}:7443`))
    assert.equal(statSync(lab.path('data.yaml')).mode & 0o777, 0o640)
    assert.match(await lab.host.must(['ss', '-ltn']), new RegExp(`${lab.host.ip}:7443`))
    assert.doesNotMatch(await lab.host.must(['ss', '-ltn']), /(0\.0\.0\.0|\*|127\.0\.0\.1):7443/)
    const names = await servingNames(lab)
    for (const name of ['DNS:board.example.com', 'IP Address:192.0.2.7', `IP Address:${lab.host.ip}`, 'IP Address:10.53.0.1', 'DNS:h1']) assert.ok(names.includes(name), names)
    assert.equal(await get('node', 'h1', '-o', 'jsonpath={.metadata.labels.role} {.metadata.labels.example\\.com/rack}'), 'edge r1')
    assert.match(await get('node', 'h1', '-o', 'jsonpath={.spec.taints}'), /"effect":"PreferNoSchedule","key":"board","value":"slow"/)
    assert.equal(await get('service', 'kubernetes', '-o', 'jsonpath={.spec.clusterIP}'), '10.53.0.1')
    assert.deepEqual(JSON.parse(await get('configmap', 'skiff-cluster', '-n', 'kube-system', '-o', 'jsonpath={.data}')), { 'cluster-cidr': '10.42.0.0/16', 'service-cidr': '10.53.0.0/16', 'cluster-dns': '10.53.0.10', 'cluster-domain': 'cluster.local', disabled: 'dns,proxy' })
    assert.equal((await lab.kubectl(['get', 'service', 'kube-dns', '-n', 'kube-system'])).code, 1)
    assert.doesNotMatch((await lab.host.run(['nft', 'list', 'tables'])).stdout, /skiff-proxy/)
    for (const [file, secret] of [['token', 'server:a-bare-secret'], ['agent-token', 'node:another-secret']] as const) {
      assert.match(readFileSync(lab.path(`data/server/${file}`), 'utf8'), new RegExp(`^S10[0-9a-f]{64}::${secret}\n$`))
      assert.equal(statSync(lab.path(`data/server/${file}`)).mode & 0o777, 0o600)
    }
    const bare = await lab.run(['agent', '--server', `https://${lab.host.ip}:7443`, '--token', 'not-the-secret', ...lab.nodeFlags('agent')])
    assert.equal(bare.code, 1)
    assert.match(bare.stderr, /WARN .*(CA|verif)/i)
    assert.match(bare.stderr, /skiff: .*does not accept this token/)
  })

  it('writes JSON and nothing else, no secret in it', () => {
    for (const line of logLines()) assert.deepEqual(Object.keys(JSON.parse(line) as object).slice(0, 2), ['time', 'level'])
    assert.doesNotMatch(lab.host.log('server'), /a-bare-secret|another-secret/)
  })

  it('ends with 0 on SIGTERM within ten seconds, leaves containers running, and finds all as it was', async () => {
    const container = () => lab.host.processes().filter((p) => p.command === 'sleep 3600').map((p) => p.pid)
    const [before] = container()
    assert.ok(before)
    // After nine seconds it would end itself, with another code.
    assert.equal(await lab.stop(server, SERVER), 0)
    assert.deepEqual(container(), [before])
    const imports = logLines().filter((l) => l.includes('imported image')).length
    rmSync(lab.path('notify'))

    const flags = ['server', '--config', lab.path('config.yaml')]
    for (const [flag, was, now] of [['service-cidr', '10.53.0.0/16', '10.63.0.0/16'], ['cluster-cidr', '10.42.0.0/16', '10.62.0.0/16']] as const) {
      const refused = await lab.run([...flags, `--${flag}`, now])
      assert.equal(refused.code, 2)
      const lines = refused.stderr.trimEnd().split('\n').map((l) => JSON.parse(l) as { level: string; msg: string; exitCode?: number })
      assert.deepEqual(lines.filter((l) => l.level === 'error').map((l) => [l.msg.includes(`--${flag}: this cluster was made with ${was}`), l.exitCode]), [[true, 2]])
    }

    server = start(['--token', readFileSync(lab.path('data/server/token'), 'utf8').trim()])
    await lab.waitForApi()
    await until('the node is Ready again', 30_000, async () => (await get('node', 'h1', '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')) === 'True')
    assert.deepEqual(container(), [before])
    assert.equal(logLines().filter((l) => l.includes('imported image')).length, imports, 'what had not changed was imported again')
    assert.equal(await lab.stop(server, SERVER), 0, lab.host.log('server').slice(-2_000))
  })
})

describe('configuration that cannot be meant', { timeout: 600_000 }, () => {
  let lab: OneHost
  before(async () => { lab = await OneHost.create() })
  after(async () => { await lab.lab.destroy() })

  it('is named in one line: registries.yaml', async () => {
    for (const [content, says] of [
      ['mirror: {}', /registries\.yaml: mirror is not known: there are mirrors, configs/], ['mirrors: {docker.io: {endpoint: http://x}}', /mirrors\.docker\.io\.endpoint must be a list/],
      ['configs: {a: {auth: {username: me, passwort: geheim}}}', /configs\.a\.auth\.passwort is not known/],
    ] as const) {
      writeFileSync(lab.path('etc/registries.yaml'), content)
      const output = await lab.run(['agent', '--server', 'https://127.0.0.1:1', '--token', 'x', ...lab.nodeFlags()])
      assertOneLine(output, 2, says)
      assert.doesNotMatch(output.stderr, /geheim/)
    }
    rmSync(lab.path('etc/registries.yaml'))
  })

  it('is named in one line: flags that do not go together, and values that cannot work', async () => {
    for (const [flags, says] of [
      [['--server', 'https://10.0.0.1:6443'], /--token: a server joins with the server token/], [['--cluster-reset-restore-path', '/none'], /--cluster-reset-restore-path: .*only for --cluster-reset/], [['--datastore-endpoint', 'mysql://e:3306'], /--datastore-endpoint: /],
      [['--service-cidr', '10.42.0.0/16'], /--service-cidr: .*overlaps/], [['--cluster-dns', '10.9.9.9'], /--cluster-dns: /], [['--disable', 'traefik'], /--disable: "traefik" is none of dns, proxy/], [['--tls-san', 'a b'], /--tls-san: /],
    ] as const) assertOneLine(await lab.run([...lab.serverFlags(), ...flags]), 2, says)
    const node = ['agent', '--server', 'https://127.0.0.1:1', '--token', 'x', ...lab.nodeFlags()]
    for (const [flags, says] of [
      [['--container-runtime-endpoint', 'tcp://10.0.0.1:1'], /--container-runtime-endpoint: .*is no unix socket/], [['--node-label', 'node-role.kubernetes.io/x=true'], /--node-label: a node may not give itself/],
      [['--node-taint', 'a=b:Never'], /--node-taint: /], [['--max-pods', '0'], /--max-pods: /], [['--cgroup-root', 'lab'], /--cgroup-root: /], [['--oci-runtime', 'kata'], /--oci-runtime: "kata" is none of runc, crun/],
    ] as const) assertOneLine(await lab.run([...node, ...flags]), 2, says)
  })

  it('is JSON where the log is', async () => {
    for (const args of [['server', '--no-such-flag', '--log-format', 'json'], [...lab.serverFlags().map((f) => (f === 'text' ? 'json' : f)), '--cluster-reset-restore-path', '/none']]) {
      const { code, stderr } = await lab.run(args)
      assert.deepEqual([code, stderr.trimEnd().split('\n').map((l) => (JSON.parse(l) as { level: string; exitCode: number }).exitCode)], [2, [2]])
    }
  })
})

/** Of the certificate that the API port shows. */
async function servingNames(lab: OneHost): Promise<string> {
  const pem = await lab.host.must(['openssl', 's_client', '-connect', `${lab.host.ip}:7443`, '-showcerts'], { input: '' })
  return new X509Certificate(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(pem)?.[0] ?? '').subjectAltName ?? ''
}
