/** An agent killed with SIGKILL at any moment: its successor finds running what runs, clears the rest, and nothing is left at the end. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { seededRandom } from '#base/random.ts'
import { filesIn, missingForContainers, mountsLeft, testMachine, unpackCommand } from '#test/images/runtime-machine.ts'
import type { TestMachine } from '#test/images/runtime-machine.ts'
import { identify } from './process-identity.ts'

const missing = await missingForContainers()
const ROUNDS = 12
/** One life of a pod takes about this long. */
const LIFE_MS = 450
/** Marks the containers of this run among all processes of the machine. */
const SECONDS = String(100_000 + process.pid)

describe('an agent killed at any moment', { skip: missing }, () => {
  let m: TestMachine
  before(async () => { m = await testMachine() })
  after(() => m?.close())

  test('loses no container and leaks nothing', { timeout: 280_000 }, async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`SEED=${seed}`)
    const random = seededRandom(seed)
    for (let round = 0; round < ROUNDS; round++) {
      const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '-e', agentScript(m, round)], { stdio: ['ignore', 'pipe', 'inherit'] })
      const closed = once(child, 'close')
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, random.next() * LIFE_MS))
      child.kill('SIGKILL')
      await closed

      const runtime = await m.open()
      for (const container of await runtime.listContainers()) {
        const status = await runtime.containerStatus(container.id)
        if (status.state === 'running') assert.equal((await runtime.execSync(container.id, ['echo', 'alive'], 10)).stdout.toString(), 'alive\n')
        if (status.state === 'created') await runtime.startContainer(container.id)
        assert.notEqual(status.reason, 'Unknown')
      }
      for (const sandbox of await runtime.listPodSandbox()) await runtime.removePodSandbox(sandbox.id)
      assert.deepEqual(await runtime.listContainers(), [])
      await runtime.close()
      const { dataDir, stateDir = '' } = m.options
      const left = (directory: string) => (existsSync(directory) ? filesIn(directory) : [])
      assert.deepEqual({
        mounts: mountsLeft(m.root), records: [...left(join(dataDir, 'sandboxes')), ...left(join(dataDir, 'containers'))], writable: left(join(dataDir, 'writable')), netns: left(join(stateDir, 'netns')),
        bundles: left(join(stateDir, 'containers')), oci: left(join(stateDir, 'oci')), layers: left(join(dataDir, 'layers')).filter((name) => name.includes('tmp')), processes: processesOf(m),
      }, { mounts: [], records: [], writable: [], netns: [], bundles: [], oci: [], layers: [], processes: [] }, `round ${round}, SEED=${seed}`)
    }
  })
})

/** Pods come and go without end; images are pulled and removed between. */
function agentScript(m: TestMachine, round: number): string {
  return `
    import { createEmbeddedRuntime } from '#cri/index.ts'
    import { testContainer, testPod } from '#cri/runtime.contract.ts'
    import { systemClock } from '#base/clock.ts'
    import { systemRandom } from '#base/random.ts'
    import { silentLog } from '#base/log.ts'
    import { FakeNetwork } from '#test/images/runtime-machine.ts'
    const runtime = await createEmbeddedRuntime({ ...${JSON.stringify({ dataDir: m.options.dataDir, stateDir: m.options.stateDir, cgroupRoot: m.cgroupRoot, selfCommand: unpackCommand })}, network: new FakeNetwork(), clock: systemClock, random: systemRandom, log: silentLog })
    setInterval(() => {}, 1000)
    console.log('up')
    for (let n = 0; ; n++) {
      const image = (await runtime.pullImage(${JSON.stringify(m.imageRef)}, {})).id
      const pod = testPod({ logDirectory: ${JSON.stringify(join(m.root, 'logs'))}, cgroupParent: '/kubepods' }, 'crash-${round}-' + n)
      pod.linux.namespaces.pid = n % 2 ? 'pod' : 'container'
      const sandbox = await runtime.runPodSandbox(pod)
      const config = testContainer(image, 'main', { command: ['sleep', '${SECONDS}'] })
      config.linux.namespaces.pid = pod.linux.namespaces.pid
      const id = await runtime.createContainer(sandbox, config, pod)
      await runtime.startContainer(id)
      if (n % 3 === 1) await runtime.stopContainer(id, 0)
      if (n % 3 === 2) { await runtime.removePodSandbox(sandbox); await runtime.removeImage(image) }
    }`
}

/** Processes that belong to nobody any more: helpers with our directory in their arguments, and all in our cgroups; zombies wait for init, not for us. */
function processesOf(m: TestMachine): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && identify(Number(name)) !== undefined).map((pid) => {
    try {
      return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')} ${readFileSync(`/proc/${pid}/cgroup`, 'utf8')}`
    } catch {
      // It has just ended.
      return ''
    }
  }).filter((line) => [`${m.root}/run`, `${m.root}/data`, `sleep ${SECONDS} `, `:${m.cgroupRoot}/`].some((mark) => line.includes(mark)))
}
