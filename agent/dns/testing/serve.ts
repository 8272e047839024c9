/** A resolver in a process of its own, so that a test can put it into a network namespace: `node serve.ts <resolv.conf>`. Only tests run this. */
import { systemClock } from '#base/clock.ts'
import { createLog } from '#base/log.ts'
import { fakeInformers, service } from '../../proxy/testing/fixtures.ts'
import { createDns } from '../dns.ts'

const informers = fakeInformers()
informers.put(service({ name: 'web', spec: { clusterIP: '10.43.0.100', ports: [{ port: 80, protocol: 'TCP' }] } }))
informers.sync()
const log = createLog({ format: 'text', level: 'info', nowMs: () => 0, write: (line) => process.stderr.write(`${line}\n`) })
const dns = createDns({
  informers, clusterDomain: 'cluster.local', listenAddresses: ['10.43.0.10'], ownedCidrs: ['10.42.0.0/16', '10.43.0.0/16'],
  resolvConfPath: process.argv[2] ?? '/etc/resolv.conf', clock: systemClock, log,
})
await dns.start(new AbortController().signal)
process.stdout.write('listening\n')
