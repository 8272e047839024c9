/** Image volumes on the real runtime: what a process sees of an image that is mounted, and what holds it there. */
import assert from 'node:assert/strict'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { missingForContainers, mountsLeft, testMachine, type TestMachine } from '#test/images/runtime-machine.ts'
import { buildImage } from '#test/images/build-image.ts'
import { pushImage } from '#test/images/registry.ts'
import { testContainer, testPod, until } from '../runtime.contract.ts'
import type { ContainerRuntime, Mount, PodSandboxConfig } from '../runtime.ts'

const missing = await missingForContainers()
const PROGRAM = '#!/bin/sh\necho ran\n'

describe('image volumes', { skip: missing }, () => {
  let m: TestMachine
  let runtime: ContainerRuntime
  let image: string
  let volume: string
  let pods = 0
  before(async () => {
    m = await testMachine()
    // As /run lets anybody pass: users of a pod's own are nobody on the host.
    chmodSync(m.root, 0o711)
    runtime = await m.open()
    image = (await runtime.pullImage(m.imageRef, {})).id
    // Two layers: the upper one takes a file of the lower one away and adds a link that leads out.
    const built = await buildImage(join(m.root, 'data-image'), {
      layers: [
        [{ name: 'models', type: 'directory', mode: 0o755 }, { name: 'models/a.txt', content: 'a\n' }, { name: 'models/old.txt', content: 'old\n' }, { name: 'run.sh', mode: 0o755, content: PROGRAM }, { name: 'owned', uid: 1000, gid: 1000, content: 'mine\n' }],
        [{ name: 'models/.wh.old.txt', content: '' }, { name: 'out', type: 'symlink', linkname: '/../../../etc' }, { name: 'in', type: 'symlink', linkname: '/models' }],
      ],
    })
    volume = (await runtime.pullImage(await pushImage(built, { host: m.registry.host, repository: 'data', tag: '1' }), {})).id
  })
  after(() => m?.close())

  const podOf = (overrides: Partial<PodSandboxConfig> = {}) => testPod({ logDirectory: join(m.root, 'logs'), cgroupParent: '/kubepods' }, `pod-${++pods}`, overrides)
  const mount = (more: Partial<Mount> = {}): Mount => ({ containerPath: '/volume', hostPath: '', readonly: true, propagation: 'private', image: volume, ...more })
  const start = async (script: string, mounts: Mount[], podOverrides: Partial<PodSandboxConfig> = {}) => {
    const config = podOf(podOverrides)
    const sandboxId = await runtime.runPodSandbox(config)
    const container = testContainer(image, 'main', { command: ['sh', '-c', script], mounts })
    const id = await runtime.createContainer(sandboxId, { ...container, linux: { ...container.linux, namespaces: config.linux.namespaces } }, config)
    await runtime.startContainer(id)
    return { id, sandboxId, log: `${config.logDirectory}/main/0.log` }
  }
  const output = async (script: string, mounts: Mount[], podOverrides: Partial<PodSandboxConfig> = {}) => {
    const { id, sandboxId, log } = await start(script, mounts, podOverrides)
    await until(runtime, () => runtime.containerStatus(id), (status) => status.state === 'exited')
    const text = readFileSync(log, 'utf8').trimEnd().split('\n').map((line) => line.split(' ').slice(3).join(' '))
    await runtime.removePodSandbox(sandboxId)
    return text
  }

  test('the whole image is there as its layers make it, read-only; its programs run, none with rights of its own', async () => {
    const said = await output('ls /volume/models; cat /volume/models/a.txt; touch /volume/x 2>&1; /volume/run.sh 2>&1; sh /volume/run.sh; grep " /volume " /proc/mounts | cut -d" " -f4 | tr , "\\n" | grep -x -e ro -e noexec -e nosuid -e nodev | sort | tr "\\n" " "', [mount({ readonly: false })])
    assert.deepStrictEqual(said.map((line) => line.replace(/^sh: \d+: |^sh: /, '')).filter((line) => line !== ''), ['a.txt', 'a', 'touch: /volume/x: Read-only file system', 'ran', 'ran', 'nodev nosuid ro'])
  })

  test('a sub path shows a directory or a file of it; links are followed inside the image', async () => {
    assert.deepStrictEqual(await output('cat /d/a.txt; cat /f; cat /l/a.txt', [mount({ containerPath: '/d', imageSubPath: 'models' }), mount({ containerPath: '/f', imageSubPath: 'models/a.txt' }), mount({ containerPath: '/l', imageSubPath: 'in' })]), ['a', 'a', 'a'])
  })

  test('a sub path that is not there, be it outside, and an image that is not here are said, and nothing stays mounted', async () => {
    const before = mountsLeft(m.root).filter((path) => path.includes('/containers/'))
    const why = (more: Partial<Mount>) => start('true', [mount(more)]).then(() => 'started', (error: unknown) => (error as Error).message)
    const [none, outside, unknown] = [await why({ imageSubPath: 'models/none' }), await why({ imageSubPath: 'out/passwd' }), await why({ image: `sha256:${'0'.repeat(64)}` })]
    const name = `${m.registry.host}/data:1`
    assert.equal(none, `ImageVolumeMountFailed: sub path "models/none" does not exist in image "${name}"`)
    assert.equal(outside, `ImageVolumeMountFailed: sub path "out/passwd" does not exist in image "${name}"`)
    assert.match(unknown, /^ImageVolumeMountFailed: failed to get image "sha256:0+": image not found$/)
    assert.deepStrictEqual(mountsLeft(m.root).filter((path) => path.includes('/containers/')), before)
  })

  test('a pod with users of its own sees the owners of the image as its own users', async (t) => {
    if (!(await runtime.status()).handlers.some((h) => h.userNamespaces)) return t.skip('no user namespaces for pods here')
    const base = podOf().linux
    const users = { linux: { ...base, namespaces: { ...base.namespaces, users: { hostId: 7 * 65_536, length: 65_536 } } } }
    assert.deepStrictEqual(await output('stat -c %u /volume/owned /volume/run.sh', [mount()], users), ['1000', '0'])
  })

  test('its layers stay while a container has them, through a removal of the image and another life of the runtime; then they go', async () => {
    const { id, sandboxId } = await start('sleep 1000', [mount()])
    await runtime.removeImage(volume)
    runtime = await m.open()
    assert.equal((await runtime.execSync(id, ['cat', '/volume/models/a.txt'], 10)).stdout.toString(), 'a\n')
    const before = (await runtime.imageFsInfo()).inodesUsed
    await runtime.removePodSandbox(sandboxId)
    assert.ok((await runtime.imageFsInfo()).inodesUsed < before, 'nothing needs the layers any more')
    assert.deepStrictEqual(mountsLeft(m.root).filter((path) => path.includes(id)), [])
  })
})
