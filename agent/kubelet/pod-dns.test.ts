import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/types/index.ts'
import { hostsFile } from './hosts-file.ts'
import { dnsProblems, podDns, podNames } from './pod-dns.ts'
import { aPod } from './testing/builders.ts'

const HOST = 'nameserver 9.9.9.9\nnameserver 8.8.8.8 # second\nsearch lan example.org.\noptions edns0 ndots:1\n'
const dns = (spec: Partial<NonNullable<Pod['spec']>>, clusterDns = ['10.43.0.10']) => podDns({ pod: aPod(spec), clusterDns, clusterDomain: 'cluster.local', resolvConf: HOST })
const cluster = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'lan', 'example.org']

const table: [string, unknown, unknown][] = [
  ['ClusterFirst asks the cluster and searches it first', dns({}), { servers: ['10.43.0.10'], searches: cluster, options: ['ndots:5'] }],
  ['on the host\'s network it is the node\'s own', dns({ hostNetwork: true }), { servers: ['9.9.9.9', '8.8.8.8'], searches: ['lan', 'example.org'], options: ['edns0', 'ndots:1'] }],
  ['unless it says ClusterFirstWithHostNet', dns({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), { servers: ['10.43.0.10'], searches: cluster, options: ['ndots:5'] }],
  ['Default is the node\'s own', dns({ dnsPolicy: 'Default' }), { servers: ['9.9.9.9', '8.8.8.8'], searches: ['lan', 'example.org'], options: ['edns0', 'ndots:1'] }],
  ['None is what dnsConfig says and no more', dns({ dnsPolicy: 'None', dnsConfig: { nameservers: ['1.1.1.1'], searches: ['a'], options: [{ name: 'timeout', value: '1' }, { name: 'rotate' }] } }), { servers: ['1.1.1.1'], searches: ['a'], options: ['timeout:1', 'rotate'] }],
  ['dnsConfig adds, and its options win', dns({ dnsConfig: { nameservers: ['1.1.1.1', '10.43.0.10'], searches: ['x', 'lan'], options: [{ name: 'ndots', value: '2' }] } }), { servers: ['10.43.0.10', '1.1.1.1'], searches: [...cluster, 'x'], options: ['ndots:2'] }],
  ['without cluster DNS it falls back to the node\'s', dns({}, []), { servers: ['9.9.9.9', '8.8.8.8'], searches: ['lan', 'example.org'], options: ['edns0', 'ndots:1'] }],
  ['three servers and 32 searches are the most', dns({ dnsPolicy: 'None', dnsConfig: { nameservers: ['1', '2', '3', '4'], searches: Array.from({ length: 40 }, (_, i) => `s${i}`) } }), { servers: ['1', '2', '3'], searches: Array.from({ length: 32 }, (_, i) => `s${i}`), options: [] }],
  ['a pod is called after its name', podNames(aPod(), 'cluster.local'), { hostname: 'web', fqdn: '' }],
  ['or its hostname, with a name in DNS if it has a subdomain', podNames(aPod({ hostname: 'h', subdomain: 'sub' }), 'cluster.local'), { hostname: 'h', fqdn: 'h.sub.default.svc.cluster.local' }],
  ['which it may carry as hostname', podNames(aPod({ hostname: 'h', subdomain: 'sub', setHostnameAsFQDN: true }), 'cluster.local').hostname, 'h.sub.default.svc.cluster.local'],
  ['63 characters are the most, and no dash at the end', podNames(aPod({}, { name: `${'a'.repeat(62)}-bc` }), 'x').hostname, 'a'.repeat(62)],
]
for (const [name, actual, expected] of table) test(name, () => assert.deepStrictEqual(actual, expected))

test('what does not fit is left out, and said', () => {
  const problems = (dnsConfig: object) => dnsProblems({ pod: aPod({ dnsPolicy: 'None', dnsConfig }), clusterDns: [], clusterDomain: '', resolvConf: '' })
  const long = 'x'.repeat(254)
  assert.deepStrictEqual([problems({ nameservers: ['1', '2', '3'], searches: ['a'] }), problems({ nameservers: ['1', '2', '3', '4'] }), problems({ nameservers: ['1'], searches: ['a', long, 'b'] }), problems({ searches: '123456789'.split('').map((c) => c.repeat(250)) })], [
    [], ['Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1 2 3'], ['Search Line limits were exceeded, some search paths have been omitted, the applied search line is: a b'],
    [`Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${'12345678'.split('').map((c) => c.repeat(250)).join(' ')}`],
  ])
})

test('the hosts file names the pod and its aliases', () => {
  assert.equal(hostsFile({ podIps: ['10.42.0.2'], hostname: 'h', fqdn: 'h.sub.default.svc.cluster.local', aliases: [{ ip: '1.2.3.4', hostnames: ['a', 'b'] }], nodeHosts: undefined }),
    '# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n10.42.0.2\th.sub.default.svc.cluster.local\th\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n')
  assert.equal(hostsFile({ podIps: [], hostname: 'n', fqdn: '', aliases: [], nodeHosts: '127.0.0.1\tlocalhost\n' }), '# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n')
})
