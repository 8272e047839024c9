/** Machines that lack what most have: nodes of a read-only system without IPv6 run pods, reach each other and find Services by name. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster } from '../lab/cluster.ts'
import { SKIFF } from './one-host.ts'

const web = {
  apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', labels: { app: 'web' } },
  spec: { nodeName: 'h1', containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', 'echo well > index.html && exec httpd -f -p 8080'], readinessProbe: { httpGet: { port: 8080 }, periodSeconds: 1 } }] },
}
const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } }
const client = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'client' }, spec: { nodeName: 'h2', containers: [{ name: 'main', image: 'busybox:1', command: ['sleep', '3600'] }] } }

describe('nodes whose /etc is read-only and whose kernel has no IPv6', { timeout: 600_000 }, () => {
  let cluster: Cluster
  before(async () => {
    cluster = await Cluster.create({
      hosts: 2,
      async prepare(host) {
        // As with the kernel's ipv6.disable=1 there is nothing to be set.
        await host.must(['sh', '-ec', 'mount --rbind /etc /etc; mount -o remount,ro,bind /etc; mount -t tmpfs -o ro none /proc/sys/net/ipv6; ! touch /etc/skiff-was-here 2> /dev/null'])
        return []
      },
    })
  })
  after(() => cluster.destroy())

  it('are Ready, run pods, and lead them to a Service by its name across the overlay', async () => {
    for (const object of [web, service, client]) await cluster.must(['apply', '-f', '-'], { input: JSON.stringify(object) })
    await cluster.must(['wait', '--for=condition=Ready', '--timeout=60s', 'pod/web', 'pod/client'], { timeoutMs: 70_000 })
    const asked = await cluster.must(['exec', 'client', '--', 'sh', '-c', 'for i in $(seq 100); do wget -q -O - http://web.default.svc.cluster.local && exit; done'], { timeoutMs: 70_000 })
    assert.equal(asked.trim(), 'well')
  })

  it('lack nothing that pods need, by skiff check', async () => {
    const [host] = cluster.lab.hosts
    assert.ok(host)
    const { code, stdout } = await host.run([SKIFF, 'check', '--data-dir', host.dataDir])
    assert.deepStrictEqual([code, stdout.split('\n').filter((line) => line.startsWith('missing'))], [0, []])
  })
})
