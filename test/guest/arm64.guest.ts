/** skiff for arm64 on an arm64 machine: from nothing to a Ready node with a pod that runs, is talked to and survives a power cut. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buildImage, busyboxLayer, ociArchive } from '../images/build-image.ts'
import { Guest } from './guest.ts'

const DISK = process.env['SKIFF_GUEST_DISK_ARM64'] ?? ''
const BINARY = process.env['SKIFF_BINARY_ARM64'] ?? join(import.meta.dirname, '../../dist/skiff-linux-arm64')
const IMAGE = 'docker.io/library/busybox:1'

describe('skiff on arm64', { skip: DISK === '' && 'run scripts/guest-test.sh --arm64' }, () => {
  let guest: Guest

  before(async () => {
    const work = mkdtempSync(join(tmpdir(), 'skiff-cargo-'))
    const image = await buildImage(join(work, 'image'), { layers: [busyboxLayer(join(DISK, 'busybox'))], config: { Cmd: ['sh'] }, architecture: 'arm64' })
    writeFileSync(join(work, 'busybox.tar'), await ociArchive(image, IMAGE))
    guest = new Guest({ diskDir: DISK, arch: 'arm64', cargo: { skiff: BINARY, 'busybox.tar': join(work, 'busybox.tar'), 'skiff.service': join(import.meta.dirname, '../../scripts/skiff.service') } })
    rmSync(work, { recursive: true })
    await guest.boot()
    await guest.must('install -m 0755 /cargo/skiff /usr/local/bin/skiff; mkdir -p /var/lib/skiff/agent/images; cp /cargo/busybox.tar /var/lib/skiff/agent/images/')
  })
  after(async () => { await guest[Symbol.asyncDispose]() })

  const untilSo = async (what: string, holds: () => Promise<boolean>) => {
    try {
      await guest.until(what, 240_000, holds)
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${(await guest.run('journalctl -u skiff --no-pager -n 40 -o cat')).stdout}\n${(await guest.kubectl(['get', 'pods,events', '-A'])).stdout}`, { cause: error })
    }
  }
  const untilRunning = async () => {
    await guest.fetchKubeconfig()
    await untilSo('the pod is ready', async () => (await guest.kubectl(['get', 'pod', 'web', '-o', 'jsonpath={.status.containerStatuses[0].ready}'])).stdout === 'true')
    await untilSo('exec works', async () => (await guest.kubectl(['exec', 'web', '--', 'uname', '-m'])).stdout === 'aarch64\n')
  }

  it('skiff check finds nothing missing', async () => {
    const { code, stdout } = await guest.run('skiff check')
    assert.equal(code, 0, stdout)
    assert.doesNotMatch(stdout, /^missing/m)
  })

  it('its node becomes Ready and says what it is', async () => {
    await guest.must('sed "s|@ARGS@||" /cargo/skiff.service > /etc/systemd/system/skiff.service && systemctl daemon-reload && systemctl enable -q skiff && systemctl start skiff || { journalctl -u skiff --no-pager -o cat; exit 1; }', 600_000)
    await guest.fetchKubeconfig()
    await untilSo('the node is Ready', async () => (await guest.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'])).stdout === 'True')
    assert.equal(await guest.mustKubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].status.nodeInfo.architecture} {.items[0].metadata.labels.kubernetes\\.io/arch}']), 'arm64 arm64')
  })

  it('runs a pod with limits; logs, exec, a terminal and its Service work', async () => {
    await guest.mustKubectl(['apply', '-f', '-'], { input: [
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', labels: { app: 'web' } }, spec: { terminationGracePeriodSeconds: 2, containers: [{ name: 'main', image: IMAGE, command: ['sh', '-c', 'echo started; httpd -f -p 8080 -h /var/www'], resources: { limits: { memory: '64Mi' } }, readinessProbe: { httpGet: { port: 8080 }, timeoutSeconds: 20 } }] } },
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'site' }, spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] } },
    ].map((o) => JSON.stringify(o)).join('\n') })
    await untilRunning()
    assert.equal(await guest.mustKubectl(['logs', 'web']), 'started')
    assert.equal(await guest.mustKubectl(['exec', 'web', '--', 'cat', '/sys/fs/cgroup/memory.max']), String(64 * 1024 ** 2))
    await untilSo('the Service answers', async () => (await guest.kubectl(['exec', 'web', '--', 'timeout', '20', 'wget', '-qO-', 'http://site'])).stdout === 'hello from busybox\n')
    // node-pty was compiled for this architecture by scripts/build.ts.
    assert.match(await guest.mustTerminal(['exec', '-it', 'web', '--', 'tty']), /\/dev\/pts\/0/)
  })

  it('comes back after a power cut', async () => {
    await guest.cutPower()
    await guest.boot()
    await untilSo('the API server is there', async () => (await guest.run('test -s /etc/skiff/skiff.yaml && systemctl is-active skiff')).code === 0)
    await untilRunning()
    assert.equal(await guest.mustKubectl(['get', 'pod', 'web', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}']), '1')
  })
})
