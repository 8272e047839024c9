import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EndpointSlice, Service } from '#api/types/index.ts'
import { fakeInformers, service, slice } from '../proxy/testing/fixtures.ts'
import { viewOf } from './dns.ts'
import { answerFor, type Answer, type Wanted, type Zone } from './records.ts'

const zone: Zone = { domain: ['cluster', 'local'], serverIp: '10.43.0.10', ownsAddress: (a) => a.startsWith('10.42.') || a.startsWith('10.43.') }
const DNS = 'svc.cluster.local'

function world(): ReturnType<typeof viewOf>['view'] {
  const informers = fakeInformers()
  const { view } = viewOf(informers)
  const objects: (Service | EndpointSlice)[] = [
    service({ name: 'web', spec: { clusterIP: '10.43.0.100', clusterIPs: ['10.43.0.100'], ports: [{ name: 'http', port: 80, protocol: 'TCP' }, { name: 'dns', port: 53, protocol: 'UDP' }] } }),
    slice({ service: 'web', endpoints: ['10.42.0.5'] }),
    service({ name: 'db', spec: { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'pg', port: 5432, protocol: 'TCP' }] } }),
    slice({
      service: 'db', ports: [{ name: 'pg', port: 5432, protocol: 'TCP' }],
      endpoints: [
        { addresses: ['10.42.0.7'], hostname: 'db-0' }, { addresses: ['10.42.1.8'], hostname: 'db-1' },
        { addresses: ['10.42.1.9'], conditions: { ready: false } }, { addresses: ['10.42.1.10'] },
      ],
    }),
    service({ name: 'empty', spec: { clusterIP: 'None', clusterIPs: ['None'], ports: [{ port: 1, protocol: 'TCP' }] } }),
    service({ name: 'early', spec: { clusterIP: 'None', clusterIPs: ['None'], publishNotReadyAddresses: true, ports: [{ port: 1, protocol: 'TCP' }] } }),
    slice({ service: 'early', endpoints: [{ addresses: ['10.42.0.20'], conditions: { ready: false } }] }),
    service({ name: 'portless', spec: { clusterIP: 'None', clusterIPs: ['None'] } }),
    slice({ service: 'portless', ports: [], endpoints: ['10.42.0.21'] }),
    service({ name: 'out', spec: { type: 'ExternalName', clusterIP: '', externalName: 'example.com.' } }),
    service({ name: 'dual', spec: { clusterIP: '10.43.0.7', clusterIPs: ['10.43.0.7', 'fd00::7'], ports: [{ port: 1, protocol: 'TCP' }] } }),
  ]
  for (const object of objects) informers.put(object as never)
  return view
}

/** One line per record; `+` marks additional ones. */
function show(answer: Answer): string[] | string {
  if (answer.kind === 'alias') return [`CNAME ${answer.record.target.join('.')}`]
  if (answer.kind !== 'records') return answer.kind
  const line = (r: (typeof answer.records)[number]) => {
    if (r.type === 'A' || r.type === 'AAAA') return `${r.name.join('.')} ${r.type} ${r.address}`
    if (r.type === 'SRV') return `SRV ${r.priority} ${r.weight} ${r.port} ${r.target.join('.')}`
    if (r.type === 'TXT') return `TXT ${r.text}`
    return 'target' in r ? `${r.type} ${r.target.join('.')}` : r.type
  }
  return [...answer.records.map(line), ...answer.additional.map((r) => `+${line(r)}`)]
}

const table: [name: string, type: Wanted, expected: string[] | string][] = [
  [`web.default.${DNS}`, 'A', [`web.default.${DNS} A 10.43.0.100`]],
  ['WEB.Default.Svc.Cluster.LOCAL', 'A', ['WEB.Default.Svc.Cluster.LOCAL A 10.43.0.100']],
  [`web.default.${DNS}`, 'AAAA', 'noData'],
  [`web.default.${DNS}`, 'SRV', [`SRV 0 50 80 web.default.${DNS}`, `SRV 0 50 53 web.default.${DNS}`, `+web.default.${DNS} A 10.43.0.100`]],
  [`_http._tcp.web.default.${DNS}`, 'SRV', [`SRV 0 100 80 web.default.${DNS}`, `+web.default.${DNS} A 10.43.0.100`]],
  [`_http._tcp.web.default.${DNS}`, 'A', [`_http._tcp.web.default.${DNS} A 10.43.0.100`]],
  [`_http._udp.web.default.${DNS}`, 'SRV', 'noName'],
  [`_none._tcp.web.default.${DNS}`, 'SRV', 'noName'],
  [`_tcp.web.default.${DNS}`, 'A', 'noData'],
  [`x.y.z.web.default.${DNS}`, 'A', 'noName'],
  [`10-42-0-5.web.default.${DNS}`, 'A', [`10-42-0-5.web.default.${DNS} A 10.42.0.5`]],
  [`web.other.${DNS}`, 'A', 'noName'],
  [`gone.default.${DNS}`, 'A', 'noName'],
  [`default.${DNS}`, 'A', 'noData'],
  [`other.${DNS}`, 'A', 'noName'],
  [DNS, 'A', 'noData'],
  ['cluster.local', 'A', 'noData'],
  ['cluster.local', 'NS', ['NS ns.dns.cluster.local']],
  ['ns.dns.cluster.local', 'A', ['ns.dns.cluster.local A 10.43.0.10']],
  ['nonsense.cluster.local', 'A', 'noName'],
  ['dns-version.cluster.local', 'TXT', ['TXT 1.1.0']],
  ['dns-version.cluster.local', 'A', 'noData'],
  [`db.default.${DNS}`, 'A', [`db.default.${DNS} A 10.42.0.7`, `db.default.${DNS} A 10.42.1.8`, `db.default.${DNS} A 10.42.1.10`]],
  [`db-1.db.default.${DNS}`, 'A', [`db-1.db.default.${DNS} A 10.42.1.8`]],
  [`10-42-1-10.db.default.${DNS}`, 'A', [`10-42-1-10.db.default.${DNS} A 10.42.1.10`]],
  [`10-42-1-8.db.default.${DNS}`, 'A', 'noName'],
  [`10-42-1-9.db.default.${DNS}`, 'A', 'noName'],
  [`_pg._tcp.db.default.${DNS}`, 'SRV', [
    `SRV 0 33 5432 db-0.db.default.${DNS}`, `SRV 0 33 5432 db-1.db.default.${DNS}`, `SRV 0 33 5432 10-42-1-10.db.default.${DNS}`,
    `+db-0.db.default.${DNS} A 10.42.0.7`, `+db-1.db.default.${DNS} A 10.42.1.8`, `+10-42-1-10.db.default.${DNS} A 10.42.1.10`,
  ]],
  [`empty.default.${DNS}`, 'A', 'noName'],
  [`early.default.${DNS}`, 'A', [`early.default.${DNS} A 10.42.0.20`]],
  [`portless.default.${DNS}`, 'A', [`portless.default.${DNS} A 10.42.0.21`]],
  [`portless.default.${DNS}`, 'SRV', 'noData'],
  [`out.default.${DNS}`, 'A', ['CNAME example.com']],
  [`x.out.default.${DNS}`, 'A', 'noName'],
  [`dual.default.${DNS}`, 'AAAA', [`dual.default.${DNS} AAAA fd00::7`]],
  ['10-42-0-5.default.pod.cluster.local', 'A', ['10-42-0-5.default.pod.cluster.local A 10.42.0.5']],
  ['10-42-0-5.default.pod.cluster.local', 'AAAA', 'noData'],
  ['10-42-0-999.default.pod.cluster.local', 'A', 'noName'],
  ['default.pod.cluster.local', 'A', 'noData'],
  ['100.0.43.10.in-addr.arpa', 'PTR', [`PTR web.default.${DNS}`]],
  ['100.0.43.10.in-addr.arpa', 'A', 'noData'],
  ['7.0.42.10.in-addr.arpa', 'PTR', [`PTR db-0.db.default.${DNS}`]],
  ['10.1.42.10.in-addr.arpa', 'PTR', 'noName'],
  ['1.1.168.192.in-addr.arpa', 'PTR', 'notOurs'],
  ['43.10.in-addr.arpa', 'PTR', 'notOurs'],
  ['example.com', 'A', 'notOurs'],
  ['notcluster.local', 'A', 'notOurs'],
]

test('names mean what the DNS-based service discovery specification says', async (t) => {
  const view = world()
  for (const [name, type, expected] of table) {
    await t.test(`${name} ${type}`, () => assert.deepEqual(show(answerFor({ name: name.split('.'), type }, zone, view)), expected))
  }
})

test('pod hostname and subdomain records come from the headless Service that the subdomain names', () => {
  const informers = fakeInformers()
  const { view } = viewOf(informers)
  informers.put(service({ name: 'sub', namespace: 'ns', spec: { clusterIP: 'None' } }))
  informers.put(slice({ service: 'sub', namespace: 'ns', ports: [], endpoints: [{ addresses: ['10.42.0.30'], hostname: 'busy' }] }))
  assert.deepEqual(show(answerFor({ name: `busy.sub.ns.${DNS}`.split('.'), type: 'A' }, zone, view)), [`busy.sub.ns.${DNS} A 10.42.0.30`])
  informers.remove(slice({ service: 'sub', namespace: 'ns', endpoints: [] }))
  assert.equal(show(answerFor({ name: `busy.sub.ns.${DNS}`.split('.'), type: 'A' }, zone, view)), 'noName')
})
