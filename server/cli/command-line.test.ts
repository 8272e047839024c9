/** What the flags' values become: addresses, checks, and the last line of a verb that failed. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clusterConfigMap } from '#api/cluster-config.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import { assertSameCluster } from '../assert-same-cluster.ts'
import { MemoryStore } from '../store/store-memory.ts'
import { clusterAddresses, reachableAt } from './cluster-addresses.ts'
import { exitCodeOf, exitFormat, exitLine } from './exit-line.ts'
import { atLeastOne, cgroup, cidrs, domain, hostOrIp, httpsUri, label, nodeName, octalMode, port, runtimeHandler, taint, url } from './flag-checks.ts'
import { AGENT_FLAGS, SERVER_FLAGS } from './verb-flags.ts'

describe('the contract\'s flags', () => {
  const SERVER = `data-dir https-listen-port bind-address advertise-address node-ip node-name token agent-token server cluster-init cluster-cidr service-cidr cluster-dns cluster-domain datastore-endpoint
    disable disable-agent tls-san write-kubeconfig write-kubeconfig-mode node-label node-taint overlay container-runtime-endpoint oci-runtime log-format config`.split(/\s+/)
  const AGENT = 'server token data-dir node-ip node-name node-label node-taint overlay container-runtime-endpoint oci-runtime log-format config'.split(' ')
  it('are all there', () => {
    assert.deepEqual(SERVER.filter((name) => !SERVER_FLAGS.some((f) => f.name === name)), [])
    assert.deepEqual(AGENT.filter((name) => !AGENT_FLAGS.some((f) => f.name === name)), [])
  })
})

describe('checks of values', () => {
  for (const [what, check, good, bad] of [
    ['label', label, ['role=db', 'a=', 'example.com/role=x', 'node.kubernetes.io/x=1', 'topology.kubernetes.io/zone=a', 'kubelet.kubernetes.io/y=z'], ['role', 'a=b=c', '=x', 'a b=c', 'a=b c', '-a=b', 'A.COM/x=1', 'node-role.kubernetes.io/worker=true', 'x.k8s.io/y=1', `a=${'x'.repeat(64)}`]],
    ['taint', taint, ['a=b:NoSchedule', 'a:NoExecute', 'example.com/a=:PreferNoSchedule'], ['a=b', 'a=b:Never', ':NoSchedule', 'a b=c:NoSchedule', 'a=b=c:NoSchedule']],
    ['httpsUri', httpsUri, ['https://keys.example/jwks'], ['http://keys.example/jwks', 'keys.example', '']],
    ['runtimeHandler', runtimeHandler, ['small=crun', 'a-1=runc', 'own=/opt/my runc'], ['crun', '=crun', 'Small=crun', 'a.b=crun', 'a=kata', 'a=bin/runc', 'a=']],
    ['domain', domain, ['cluster.local', 'k8s'], ['', 'a..b', '-a', 'a_b', 'A.b', '.']],
    ['hostOrIp', hostOrIp, ['a.example.com', '*.example.com', '10.0.0.1', 'fd00::1', 'Board'], ['a b', 'https://a', '*.*', '']],
    ['cidrs', cidrs, ['10.42.0.0/16', '10.42.0.0/16,fd00::/64'], ['10.42.0.0', '10.42.0.0/33', 'fd00::/129', '300.1.1.1/8', '10.42.0.0/16,']],
    ['url', url, ['https://10.0.0.1:6443', 'https://a/'], ['http://a', 'a:6443', 'https://a/b']],
    ['octalMode', octalMode, ['0600', '644'], ['0800', '1', 'rw']],
    ['cgroup', cgroup, ['', '/lab', '/a/b'], ['lab', '/', '/a/../b', '/a b']],
    ['atLeastOne', atLeastOne, ['1', '110'], ['0']], ['port', port, ['1', '65535'], ['0', '65536', 'x']], ['nodeName', nodeName, ['a', 'board-1.lan'], ['A', '-a', 'a_b', '']],
  ] as const) it(`${what} takes what is right and names what is not`, () => {
    assert.deepEqual(good.filter((v) => check(v) !== undefined), [])
    assert.deepEqual(bad.filter((v) => check(v) === undefined), [])
  })
})

describe('the cluster\'s addresses', () => {
  const of = (rest: Partial<Parameters<typeof clusterAddresses>[0]>) => clusterAddresses({ clusterCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16', clusterDns: undefined, ...rest })
  it('follow from the Service CIDR', () => {
    assert.deepEqual([of({}).clusterDns, of({}).kubernetesServiceIp], ['10.43.0.10', '10.43.0.1'])
    assert.deepEqual([of({ serviceCidr: '172.20.7.64/26' }).clusterDns, of({ serviceCidr: '172.20.7.64/26' }).kubernetesServiceIp], ['172.20.7.74', '172.20.7.65'])
    assert.equal(of({ clusterDns: '10.43.0.53' }).clusterDns, '10.43.0.53')
    const both = { clusterCidr: '10.42.0.0/16,fd42::/56', serviceCidr: '10.43.0.0/16,fd43::/112' }
    assert.deepEqual(of(both), { ...both, clusterDns: '10.43.0.10', kubernetesServiceIp: '10.43.0.1' })
  })
  for (const [given, says] of [
    [{ serviceCidr: '10.43.0.0/29' }, /--service-cidr: .*use \/28 or larger/], [{ clusterCidr: '10.42.0.0/25' }, /--cluster-cidr: .*use \/24 or larger/], [{ serviceCidr: '10.42.128.0/20' }, /--service-cidr: 10.42.128.0\/20 overlaps --cluster-cidr/],
    [{ serviceCidr: '10.0.0.0/8' }, /overlaps/], [{ clusterDns: '10.44.0.10' }, /--cluster-dns: 10.44.0.10 is not an address of --service-cidr .*such as 10.43.0.10/], [{ clusterDns: '10.43.0.1' }, /--cluster-dns/], [{ clusterDns: 'fd00::1' }, /--cluster-dns/],
    [{ serviceCidr: 'fd43::/112' }, /--service-cidr: fd43::\/112: begin with an IPv4 network/], [{ serviceCidr: '10.43.0.0/16,fd43::/112' }, /add one to --cluster-cidr/], [{ clusterCidr: '10.42.0.0/16,10.44.0.0/16' }, /--cluster-cidr: .* one of each family/],
    [{ clusterCidr: '10.42.0.0/16,fd42::/56', serviceCidr: '10.43.0.0/16,fd43::/64' }, /--service-cidr: fd43::\/64 must be between \/108 and \/125/], [{ clusterCidr: '10.42.0.0/16,fd42::/72' }, /no room for one node's \/64/],
  ] as const) it(`are refused: ${says.source}`, () => assert.throws(() => of(given), (e) => e instanceof UsageError && says.test(e.message)))
  it('a bound address is where the machine itself connects', () => assert.deepEqual(['0.0.0.0', '::', '10.0.0.5', 'fd00::5'].map(reachableAt), ['127.0.0.1', '127.0.0.1', '10.0.0.5', '[fd00::5]']))
  it('cannot change once the cluster is made', async () => {
    const store = new MemoryStore()
    const cluster = { ...of({}), clusterDomain: 'cluster.local', disabled: ['dns'] }
    await assertSameCluster(store, cluster)
    await store.txn({ compare: [], ops: [{ kind: 'put', key: '/registry/core/configmaps/kube-system/skiff-cluster', value: Buffer.from(JSON.stringify(clusterConfigMap(cluster))) }] })
    await assertSameCluster(store, { ...cluster, disabled: [] })
    for (const [change, says] of [
      [{ clusterCidr: '10.52.0.0/16' }, '--cluster-cidr: this cluster was made with 10.42.0.0/16 and cannot change to 10.52.0.0/16: pass --cluster-cidr 10.42.0.0/16, or start a new cluster in an empty --data-dir'],
      [{ serviceCidr: '10.53.0.0/16' }, /--service-cidr: /], [{ clusterDns: '10.43.0.53' }, /--cluster-dns: /], [{ clusterDomain: 'k8s' }, /--cluster-domain: /],
    ] as const) await assert.rejects(assertSameCluster(store, { ...cluster, ...change }), { code: 'USAGE', message: says })
  })
})

describe('the last line', () => {
  const line = (error: Error, argv: string[] = [], env: Record<string, string> = {}) => exitLine(error, { argv, env, nowMs: 0 })
  it('is one line, text or JSON as the log is', () => {
    const error = new UsageError('a\n  b')
    assert.equal(line(error), 'skiff: a | b')
    for (const [argv, env] of [[['--log-format', 'json'], {}], [['--log-format=json'], {}], [[], { SKIFF_LOG_FORMAT: 'json' }]] as const) assert.deepEqual(JSON.parse(line(error, [...argv], env)), { time: '1970-01-01T00:00:00.000Z', level: 'error', msg: 'a | b', exitCode: 2 })
    assert.equal(line(error, ['--log-format=text'], { SKIFF_LOG_FORMAT: 'json' }), 'skiff: a | b')
    assert.deepEqual([exitCodeOf(error), exitCodeOf(new CodedError('X', 'x')), exitCodeOf(new Error('x'))], [2, 1, 1])
  })
  it('follows the format that the config file chose', () => {
    exitFormat.isJson = true
    try {
      assert.equal((JSON.parse(line(new Error('x'))) as { exitCode: number }).exitCode, 1)
    } finally {
      exitFormat.isJson = undefined
    }
  })
})
