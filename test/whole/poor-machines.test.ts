/** Machines that lack what most have: nodes of a read-only system without IPv6 run pods, reach each other and find Services by name. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { assertOneLine, SKIFF } from './one-host.ts'

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
        // A node in a container may not change the kernel's settings; the other may.
        await host.must(['sh', '-ec', 'cd /proc/sys; echo 0 > vm/overcommit_memory; echo 1 > vm/panic_on_oom; for f in vm/overcommit_memory vm/panic_on_oom; do [ $(hostname) = h2 ] || mount -o remount,ro,bind $f; done'])
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

  it('have the kernel set as they want it, where it can be set: where not, that is told once', async () => {
    const [one, other] = cluster.lab.hosts
    assert.ok(one && other)
    const settings = (host: LabHost) => host.must(['sh', '-c', 'cd /proc/sys; echo $(for f in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do cat $f; echo; done)'])
    assert.deepStrictEqual([await settings(other), await settings(one)], ['1 0 10 1 1000000 25000000\n', '0 1 10 1 1000000 25000000\n'])
    const said = (host: LabHost) => host.log('skiff').split('\n').filter((line) => line.includes('settings of the kernel are not as a node wants them'))
    assert.equal(said(other).length, 0)
    assert.equal(said(one).length, 1)
    assert.match(said(one).join(), /vm\.overcommit_memory=1 vm\.panic_on_oom=0/)
    assert.match((await one.run([SKIFF, 'check', '--data-dir', one.dataDir])).stdout, /^warn +kernel settings not as a node wants them, .*sysctl -w vm\.overcommit_memory=1 vm\.panic_on_oom=0/m)
    const refused = await one.run([SKIFF, 'agent', '--server', 'https://127.0.0.1:1', '--token', 'x', '--protect-kernel-defaults', '--data-dir', `${one.dir}/protected`])
    assertOneLine(refused, 1, /invalid kernel flag: vm\/overcommit_memory, expected value: 1, actual value: 0; invalid kernel flag: vm\/panic_on_oom, expected value: 0, actual value: 1: set them/)
  })

  it('lack nothing that pods need, by skiff check', async () => {
    const [host] = cluster.lab.hosts
    assert.ok(host)
    const { code, stdout } = await host.run([SKIFF, 'check', '--data-dir', host.dataDir])
    assert.deepStrictEqual([code, stdout.split('\n').filter((line) => line.startsWith('missing'))], [0, []])
  })
})
