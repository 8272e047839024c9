/** A machine that is switched off: its pods end in their own time, and the API knows why before the network goes. Images of a node by `skiff images`. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'

const SKIFF = process.env['SKIFF_BINARY'] ?? join(import.meta.dirname, '../../dist/skiff')

/** systemd, as far as skiff asks it: it runs, and is on its way down. In this host's view of the machine only. */
async function onItsWayDown(host: LabHost): Promise<void> {
  const fake = join(host.dir, 'systemctl')
  writeFileSync(fake, '#!/bin/sh\necho stopping\nexit 1\n')
  chmodSync(fake, 0o755)
  const run = join(host.dir, 'run-systemd')
  mkdirSync(join(run, 'system'), { recursive: true })
  await host.must(['mount', '--bind', fake, '/usr/bin/systemctl'])
  await host.must(['sh', '-c', `mkdir -p /run/systemd && mount --bind ${run} /run/systemd`])
}

describe('a node', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let node: LabHost
  before(async () => {
    cluster = await Cluster.create({ hosts: 2, agentFlags: ['--shutdown-grace-period', '9s', '--shutdown-grace-period-critical-pods', '3s'] })
    node = cluster.lab.hosts[1] as LabHost
  })
  after(async () => { await cluster.destroy() })

  const images = (...args: string[]) => node.run([SKIFF, 'images', ...args, '--data-dir', node.dataDir])

  it('tells, pulls and removes its images by skiff images', async () => {
    const pulled = await images('pull', 'busybox:1')
    assert.deepEqual([pulled.code, pulled.stderr], [0, ''])
    assert.match(pulled.stdout, /^sha256:[0-9a-f]{64}\n$/)
    assert.match((await images('ls')).stdout, /^docker\.io\/library\/busybox +1 +[0-9a-f]{13} +[\d.]+[kM]B$/m)
    assert.equal((await images('rm', 'busybox:1')).stdout, pulled.stdout)
    assert.doesNotMatch((await images('ls')).stdout, /busybox/)
    const gone = await images('rm', 'busybox:1')
    assert.equal(gone.code, 1)
    assert.match(gone.stderr, /there is no image .*busybox:1.* here; skiff images ls shows them/)
    const none = await images('import', '/etc/hosts')
    assert.equal(none.code, 1)
    assert.match(none.stderr, /\/etc\/hosts/)
  })

  it('exports an image into a file that a node without a network imports and runs; what fails leaves no file', async () => {
    await until('the default service account exists', 20_000, async () => (await cluster.kubectl(['get', 'serviceaccount', 'default'])).code === 0)
    const file = join(node.dir, 'busybox.tar')
    assert.equal((await images('pull', 'busybox:1')).code, 0)
    assert.deepEqual(await images('export', 'busybox:1', '--output', file), { code: 0, stdout: '', stderr: '' })
    assert.match((await images('export', 'busybox:none', '--output', join(node.dir, 'none.tar'))).stderr, /there is no image .*busybox:none/)
    assert.deepEqual(readdirSync(node.dir).filter((name) => name.includes('.tar')), ['busybox.tar'])
    // The same by way of standard output, as for ssh.
    assert.equal((await node.run(['sh', '-c', `${SKIFF} images export busybox:1 --data-dir ${node.dataDir} | cmp - ${file}`])).code, 0)
    assert.equal((await images('rm', 'busybox:1')).code, 0)
    assert.deepEqual(await images('import', file), { code: 0, stdout: 'docker.io/library/busybox:1\n', stderr: '' })
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'imported' }, spec: { nodeName: node.name, restartPolicy: 'Never', containers: [{ name: 'main', image: 'busybox:1', imagePullPolicy: 'Never', command: ['sh', '-c', 'id -un; cat /var/www/index.html'] }] } }) })
    await cluster.must(['wait', '--for=jsonpath={.status.phase}=Succeeded', '--timeout=60s', 'pod/imported'], { timeoutMs: 70_000 })
    assert.equal(await cluster.must(['logs', 'imported']), 'root\nhello from busybox\n')
    await cluster.must(['delete', 'pod', 'imported'])
  })

  it('ends its pods in their own time when the machine goes down, and tells why', async () => {
    await until('the default service account exists', 20_000, async () => (await cluster.kubectl(['get', 'serviceaccount', 'default'])).code === 0)
    // Ends two seconds after it was asked to.
    const command = ['sh', '-c', 'trap "sleep 2; echo in order; exit 0" TERM; echo up; while :; do sleep 1000 & wait $!; done']
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec: { nodeName: node.name, containers: [{ name: 'main', image: 'busybox:1', command }] } }) })
    await until('it says up', 60_000, async () => (await cluster.kubectl(['logs', 'web'])).stdout === 'up\n')
    // Would take ten minutes; only the finalizer keeps it in sight.
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'leaves', finalizers: ['example.com/stays'] }, spec: { nodeName: node.name, terminationGracePeriodSeconds: 600, containers: [{ name: 'main', image: 'busybox:1', command: ['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 1000; done'] }] } }) })
    await until('the other one, too', 60_000, async () => (await cluster.kubectl(['logs', 'leaves'])).stdout === 'up\n')
    await cluster.must(['delete', 'pod', 'leaves', '--wait=false'])
    await onItsWayDown(node)
    assert.equal(await cluster.stop(node), 0, node.log('skiff'))
    const left = JSON.parse(await cluster.must(['get', 'pod', 'leaves', '-o', 'json'])) as { status: { phase: string; reason: string; containerStatuses: { state: { terminated?: { exitCode: number } } }[] } }
    assert.deepEqual([left.status.phase, left.status.reason, left.status.containerStatuses[0]?.state.terminated?.exitCode], ['Failed', 'Terminated', 137])
    await cluster.must(['patch', 'pod', 'leaves', '--type=merge', '-p', '{"metadata":{"finalizers":null}}'])
    const pod = JSON.parse(await cluster.must(['get', 'pod', 'web', '-o', 'json'])) as { status: { phase: string; reason: string; message: string; conditions: { type: string; reason?: string }[]; containerStatuses: { state: { terminated?: { exitCode: number } } }[] } }
    const { phase, reason, message, conditions, containerStatuses } = pod.status
    assert.deepEqual([phase, reason, message], ['Failed', 'Terminated', 'Pod was terminated in response to imminent node shutdown.'])
    assert.equal(conditions.find((c) => c.type === 'DisruptionTarget')?.reason, 'TerminationByKubelet')
    assert.equal(containerStatuses[0]?.state.terminated?.exitCode, 0)
    const ready = await cluster.must(['get', 'node', node.name, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].message}'])
    assert.equal(ready, 'node is shutting down')
    assert.deepEqual(node.processes().filter((p) => p.command.includes('trap')), [])
  })
})
