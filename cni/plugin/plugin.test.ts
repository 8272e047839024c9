import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { cniFiles } from './files.ts'
import { runCniPlugin } from './plugin.ts'
import { serveCni } from './serve.ts'

const dir = mkdtempSync(join(tmpdir(), 'skiff-cni-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const calls: unknown[] = []
let why: string | undefined
const network = {
  async setup(pod: object) {
    calls.push(['setup', pod])
    if (why !== undefined) throw new Error(why)
    return { ips: ['10.42.0.7'] }
  },
  async teardown(pod: object) { calls.push(['teardown', pod]) },
  notReadyReason: () => why,
}
const socket = join(dir, 'cni.sock')
const environment = (command: string) => ({ CNI_COMMAND: command, CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/x', CNI_IFNAME: 'eth0', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web;K8S_POD_UID=u1' })
const configuration = (more: object = {}) => JSON.stringify({ cniVersion: '1.0.0', name: 'skiff', type: 'skiff-cni', socket, ...more })
const run = async (command: string, more: object = {}) => {
  const { exitCode, stdout } = await runCniPlugin(environment(command), configuration(more), systemClock)
  return { exitCode, answer: stdout === '' ? undefined : JSON.parse(stdout) as unknown }
}

test('ADD asks the agent for the pod\'s network, with its name and host ports; DEL gives it back; both in CNI\'s words', async () => {
  const server = await serveCni(socket, network, silentLog)
  try {
    const ports = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }, { hostPort: 0, containerPort: 81, protocol: 'udp' }, { hostPort: 'x' }]
    assert.deepEqual(await run('ADD', { runtimeConfig: { portMappings: ports } }), {
      exitCode: 0, answer: { cniVersion: '1.0.0', interfaces: [{ name: 'eth0', sandbox: '/run/netns/x' }], ips: [{ address: '10.42.0.7/32', interface: 0 }], dns: {} },
    })
    assert.deepEqual(await run('DEL'), { exitCode: 0, answer: undefined })
    assert.deepEqual(calls.splice(0), [
      ['setup', { id: 'c1', netnsPath: '/run/netns/x', podName: 'web', podNamespace: 'ns', podUid: 'u1', portMappings: [{ protocol: 'TCP', hostPort: 8080, containerPort: 80, hostIp: '' }] }],
      ['teardown', { id: 'c1', netnsPath: '/run/netns/x' }],
    ])
    assert.deepEqual(await run('ADD', { cniVersion: '0.4.0' }), {
      exitCode: 0, answer: { cniVersion: '0.4.0', interfaces: [{ name: 'eth0', sandbox: '/run/netns/x' }], ips: [{ version: '4', address: '10.42.0.7/32', interface: 0 }], dns: {} },
    })
    why = 'the node has no pod CIDR yet'
    assert.deepEqual(await run('ADD'), { exitCode: 1, answer: { cniVersion: '1.0.0', code: 11, msg: why } })
    assert.deepEqual(await run('STATUS'), { exitCode: 1, answer: { cniVersion: '1.0.0', code: 50, msg: why } })
  } finally {
    await server.close()
  }
})

test('without the agent it says what is missing and that it may be tried again; what no runtime would send is refused', async () => {
  const { exitCode, answer } = await run('ADD')
  assert.deepEqual([exitCode, (answer as { code: number }).code, (answer as { msg: string }).msg], [1, 11, `skiff does not answer at ${socket}: is it running?`])
  assert.deepEqual(await run('VERSION'), { exitCode: 0, answer: { cniVersion: '0.4.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] } })
  assert.deepEqual((await run('ADD', { cniVersion: '9.0.0' })).answer, { cniVersion: '9.0.0', code: 1, msg: 'cniVersion 9.0.0 is not supported, only 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0' })
  for (const [env, stdin, code] of [[environment('ADD'), 'not json', 6], [{}, configuration(), 4], [environment('ADD'), '{"cniVersion":"1.0.0"}', 6]] as const) {
    const { stdout } = await runCniPlugin(env, stdin, systemClock)
    assert.equal((JSON.parse(stdout) as { code: number }).code, code, stdin)
  }
})

test('the files for the runtime: the configuration last, words of the command quoted for the shell, a loopback that is there stays', () => {
  const files = cniFiles({ confDir: '/c', binDir: '/b', socket: '/run/skiff/cni.sock', pluginCommand: ["/opt/it's here/skiff", 'cni'] })
  assert.deepEqual(files.map(({ path, mode, keep }) => [path, mode, keep]), [['/b/loopback', 0o755, true], ['/b/skiff-cni', 0o755, false], ['/c/00-skiff.conflist', 0o644, false]])
  assert.match(files[1]?.content ?? '', /^#!\/bin\/sh\n.*\nexec '\/opt\/it'\\''s here\/skiff' cni\n$/)
  assert.deepEqual(JSON.parse(files[2]?.content ?? ''), { cniVersion: '0.4.0', name: 'skiff', plugins: [{ type: 'skiff-cni', socket: '/run/skiff/cni.sock', capabilities: { portMappings: true } }] })
})
