/**
 * What every runtime must do, whoever implements it. A harness makes one runtime per test and says how its containers
 * are told to run on, to end with a code, or not to start.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerConfig, ContainerRuntime, ContainerStatus, PodSandboxConfig } from './runtime.ts'

export interface RuntimeHarness {
  runtime: ContainerRuntime
  /** A reference that can be pulled. */
  imageRef: string
  /** One in the same place that cannot. */
  missingImageRef: string
  /** Images the runtime keeps for itself (what its sandboxes run): not looked at. */
  ownImageRef?: string
  logDirectory: string
  cgroupParent: string
  /** `command` of a container that runs until it is told to stop and obeys SIGTERM. */
  runsOn: string[]
  /** ... that ends by itself with this code. */
  exitsWith(code: number): string[]
  /** ... that cannot be started. */
  notStartable: string[]
  /** For execSync: prints `text` and ends with `code`. */
  prints(text: string, code: number): string[]
  /** What can be seen of streams; undefined where programs are only played. */
  streams?: {
    /** For exec: copies its input to its output and `err` to its errors, then ends with 5. */
    copies: string[]
    /** `command` of a container that says `ready` each second until it reads a line, says that twice, and ends with the next line. */
    repeatsLine: string[]
    /** `command` of a container that answers each connection to 8080 with `hello` and ends it. */
    greets: string[]
  }
  close(): Promise<void>
}

/** Everything of the contract is asked within this. */
const EVENT_MS_MAX = 60_000

export function runtimeContract(name: string, open: () => Promise<RuntimeHarness>): void {
  describe(`${name} keeps the runtime contract`, () => {
    let h: RuntimeHarness
    let image: string
    let pods = 0
    before(async () => {
      h = await open()
      image = (await h.runtime.pullImage(h.imageRef, {})).id
    })
    after(() => h?.close())

    const podConfig = (overrides: Partial<PodSandboxConfig> = {}) => testPod(h, `pod-${++pods}`, overrides)
    const start = async (command: string[], overrides: Partial<ContainerConfig> = {}) => {
      const config = podConfig()
      const sandboxId = await h.runtime.runPodSandbox(config)
      const id = await h.runtime.createContainer(sandboxId, testContainer(image, 'main', { command, ...overrides }), config)
      await h.runtime.startContainer(id)
      return { config, sandboxId, id }
    }
    const images = async () => (await h.runtime.listImages()).filter((i) => h.ownImageRef === undefined || !i.repoTags.includes(h.ownImageRef))
    const exited = (id: string) => until(h.runtime, () => h.runtime.containerStatus(id), (status) => status.state === 'exited')

    test('version and status say who it is and that it is ready', async () => {
      const version = await h.runtime.version()
      assert.equal(version.runtimeApiVersion, 'v1')
      assert.ok(version.runtimeName.length > 0 && version.runtimeVersion.length > 0)
      const { conditions } = await h.runtime.status()
      assert.deepEqual(conditions.map(({ type, status }) => ({ type, status })), [{ type: 'RuntimeReady', status: true }, { type: 'NetworkReady', status: true }])
    })

    test('a pulled image is found by its reference, its digest reference and its id, and pulling it again changes nothing', async () => {
      const progress: string[] = []
      const pulled = await h.runtime.pullImage(h.imageRef, { onProgress: (p) => progress.push(p.kind) })
      assert.deepEqual([progress[0], progress.at(-1)], ['resolving', 'done'])
      assert.equal(pulled.id, image)
      assert.match(pulled.id, /^sha256:[0-9a-f]{64}$/)
      assert.ok(pulled.repoTags.includes(h.imageRef))
      assert.equal(pulled.repoDigests.length, 1)
      for (const ref of [h.imageRef, pulled.id, pulled.repoDigests[0] ?? '']) assert.deepEqual(await h.runtime.imageStatus(ref), pulled, ref)
      assert.deepEqual(await images(), [pulled])
    })

    test('an image that does not exist is refused with CRI_IMAGE_NOT_FOUND and the reference in the message, and imageStatus is undefined', async () => {
      await assert.rejects(h.runtime.pullImage(h.missingImageRef, {}), (error: Error & { code?: string }) => error.code === 'CRI_IMAGE_NOT_FOUND' && error.message.includes(h.missingImageRef))
      assert.equal(await h.runtime.imageStatus(h.missingImageRef), undefined)
    })

    test('pulls of one reference at the same time give the same image', async () => {
      const images = await Promise.all([1, 2, 3].map(() => h.runtime.pullImage(h.imageRef, {})))
      assert.deepEqual(new Set(images.map((i) => i.id)), new Set([image]))
    })

    test('running a sandbox again returns the one that is ready, another attempt makes a new one', async () => {
      const config = podConfig()
      const first = await h.runtime.runPodSandbox(config)
      assert.equal(await h.runtime.runPodSandbox(config), first)
      const second = await h.runtime.runPodSandbox({ ...config, metadata: { ...config.metadata, attempt: 1 } })
      assert.notEqual(second, first)
      const listed = await h.runtime.listPodSandbox({ podUid: config.metadata.uid })
      assert.deepEqual(listed.map((s) => `${s.id} ${s.state}`).sort(), [`${first} ready`, `${second} ready`].sort())
    })

    test('what a running container may use is changed while it runs, and told where the runtime tells it; what is not named stays', async (t) => {
      const { id } = await start(h.runsOn, { linux: { ...testContainer(image, 'main').linux, resources: { cpuShares: 102, cpuQuota: 20_000, cpuPeriod: 100_000, memoryLimitBytes: 128 * 2 ** 20 } } })
      await h.runtime.updateContainerResources(id, { cpuShares: 204, cpuQuota: 40_000, cpuPeriod: 100_000 })
      await h.runtime.updateContainerResources(id, { memoryLimitBytes: 64 * 2 ** 20 })
      const { state, resources } = await h.runtime.containerStatus(id)
      assert.equal(state, 'running')
      if (!resources) return t.skip('this runtime does not tell')
      assert.deepEqual([resources.cpuShares, resources.cpuQuota, resources.cpuPeriod, resources.memoryLimitBytes], [204, 40_000, 100_000, 64 * 2 ** 20])
      assert.deepEqual((await h.runtime.listContainers()).find((c) => c.id === id)?.resources, resources)
    })

    test('a runtime handler that is not there is refused by its name, and nothing is left', async () => {
      const config = { ...podConfig(), runtimeHandler: 'nowhere' }
      await assert.rejects(h.runtime.runPodSandbox(config), /no runtime for "nowhere" is configured/)
      assert.deepEqual((await h.runtime.listPodSandbox()).filter((s) => s.metadata.uid === config.metadata.uid && s.state === 'ready'), [])
    })

    test('every handler that the runtime tells of takes sandboxes', async () => {
      for (const { name } of (await h.runtime.status()).handlers) {
        const config = { ...podConfig(), runtimeHandler: name }
        const id = await h.runtime.runPodSandbox(config)
        assert.equal((await h.runtime.podSandboxStatus(id)).state, 'ready')
        await h.runtime.removePodSandbox(id)
      }
    })

    test('a sandbox tells its metadata, addresses and labels; stopped it is notready, removed it is not found', async () => {
      const config = podConfig({ labels: { app: 'web' }, annotations: { note: 'x' } })
      const id = await h.runtime.runPodSandbox(config)
      const status = await h.runtime.podSandboxStatus(id)
      assert.deepEqual({ metadata: status.metadata, state: status.state, labels: status.labels, annotations: status.annotations }, { metadata: config.metadata, state: 'ready', labels: { app: 'web' }, annotations: { note: 'x' } })
      assert.equal(status.ips.length > 0, true)
      await h.runtime.stopPodSandbox(id)
      await h.runtime.stopPodSandbox(id)
      assert.equal((await h.runtime.podSandboxStatus(id)).state, 'notready')
      assert.deepEqual((await h.runtime.listPodSandbox({ podUid: config.metadata.uid, state: 'ready' })), [])
      await h.runtime.removePodSandbox(id)
      await h.runtime.removePodSandbox(id)
      await assert.rejects(h.runtime.podSandboxStatus(id), { code: 'CRI_NOT_FOUND' })
    })

    test('a container goes from created to running to exited, with the times and Completed for code 0', async () => {
      const config = podConfig()
      const sandboxId = await h.runtime.runPodSandbox(config)
      const container = testContainer(image, 'main', { command: h.exitsWith(0), labels: { a: 'b' } })
      const id = await h.runtime.createContainer(sandboxId, container, config)
      const created = await h.runtime.containerStatus(id)
      assert.deepEqual([created.state, created.startedAtMs, created.finishedAtMs, created.labels, created.imageId, created.imageRef, created.logPath],
        ['created', 0, 0, { a: 'b' }, image, h.imageRef, `${config.logDirectory}/main/0.log`])
      await h.runtime.startContainer(id)
      const end = await exited(id)
      assert.deepEqual([end.exitCode, end.reason], [0, 'Completed'])
      assert.ok(end.createdAtMs > 0 && end.startedAtMs >= end.createdAtMs && end.finishedAtMs >= end.startedAtMs)
    })

    test('a container that ends with a code other than 0 has it and the reason Error', async () => {
      const { id } = await start(h.exitsWith(3))
      const end = await exited(id)
      assert.deepEqual([end.exitCode, end.reason], [3, 'Error'])
    })

    test('a container that cannot be started fails with CRI_FAILED and is exited with StartError, code 128 and the message', async () => {
      const config = podConfig()
      const sandboxId = await h.runtime.runPodSandbox(config)
      const id = await h.runtime.createContainer(sandboxId, testContainer(image, 'main', { command: h.notStartable }), config)
      await assert.rejects(h.runtime.startContainer(id), { code: 'CRI_FAILED' })
      const status = await h.runtime.containerStatus(id)
      assert.deepEqual([status.state, status.exitCode, status.reason, status.startedAtMs], ['exited', 128, 'StartError', 0])
      assert.ok(status.message.includes(h.notStartable[0] ?? ''))
    })

    test('stopping ends a container that obeys within its grace, stopping again or what is not there succeeds', async () => {
      const { id } = await start(h.runsOn)
      await h.runtime.stopContainer(id, 10)
      const status = await h.runtime.containerStatus(id)
      assert.equal(status.state, 'exited')
      await h.runtime.stopContainer(id, 10)
      await h.runtime.stopContainer('0'.repeat(64), 1)
    })

    test('stopping without grace kills: exit code 137', async () => {
      const { id } = await start(h.runsOn)
      await h.runtime.stopContainer(id, 0)
      const status = await h.runtime.containerStatus(id)
      assert.deepEqual([status.state, status.exitCode, status.reason], ['exited', 137, 'Error'])
    })

    test('removing a running container ends it; after that it is not found and removing again succeeds', async () => {
      const { id, sandboxId } = await start(h.runsOn)
      await h.runtime.removeContainer(id)
      await h.runtime.removeContainer(id)
      await assert.rejects(h.runtime.containerStatus(id), { code: 'CRI_NOT_FOUND' })
      assert.deepEqual(await h.runtime.listContainers({ sandboxId }), [])
    })

    test('stopping a sandbox ends its containers, removing it removes them', async () => {
      const { id, sandboxId } = await start(h.runsOn)
      await h.runtime.stopPodSandbox(sandboxId)
      assert.equal((await h.runtime.containerStatus(id)).state, 'exited')
      await h.runtime.removePodSandbox(sandboxId)
      await assert.rejects(h.runtime.containerStatus(id), { code: 'CRI_NOT_FOUND' })
    })

    test('containers are listed by sandbox, pod and state', async () => {
      const a = await start(h.runsOn)
      const b = await start(h.exitsWith(0))
      await exited(b.id)
      const ids = (list: ContainerStatus[]) => list.map((c) => c.id)
      assert.deepEqual(ids(await h.runtime.listContainers({ sandboxId: a.sandboxId })), [a.id])
      assert.deepEqual(ids(await h.runtime.listContainers({ podUid: b.config.metadata.uid })), [b.id])
      assert.deepEqual(ids(await h.runtime.listContainers({ sandboxId: a.sandboxId, state: 'exited' })), [])
      assert.ok(ids(await h.runtime.listContainers({ state: 'running' })).includes(a.id))
    })

    test('one name and attempt is one container: creating it twice is CRI_EXISTS', async () => {
      const { sandboxId, config } = await start(h.runsOn)
      await assert.rejects(h.runtime.createContainer(sandboxId, testContainer(image, 'main', { command: h.runsOn }), config), { code: 'CRI_EXISTS' })
    })

    test('a container of an unknown image or in an unknown sandbox is refused', async () => {
      const config = podConfig()
      const sandboxId = await h.runtime.runPodSandbox(config)
      await assert.rejects(h.runtime.createContainer(sandboxId, testContainer(`sha256:${'0'.repeat(64)}`, 'main', { command: h.runsOn }), config), { code: 'CRI_IMAGE_NOT_FOUND' })
      await assert.rejects(h.runtime.createContainer('0'.repeat(64), testContainer(image, 'main', { command: h.runsOn }), config), { code: 'CRI_NOT_FOUND' })
      await assert.rejects(h.runtime.startContainer('0'.repeat(64)), { code: 'CRI_NOT_FOUND' })
    })

    test('a started container cannot be started again', async () => {
      const { id } = await start(h.runsOn)
      await assert.rejects(h.runtime.startContainer(id), { code: 'CRI_FAILED' })
    })

    test('execSync gives output and exit code; in a container that does not run it fails', async () => {
      const { id } = await start(h.runsOn)
      const result = await h.runtime.execSync(id, h.prints('hello', 4), 10)
      assert.deepEqual({ exitCode: result.exitCode, stdout: result.stdout.toString() }, { exitCode: 4, stdout: 'hello' })
      await h.runtime.stopContainer(id, 0)
      await assert.rejects(h.runtime.execSync(id, h.prints('x', 0), 10), { code: 'CRI_FAILED' })
      await assert.rejects(h.runtime.execSync('0'.repeat(64), h.prints('x', 0), 10), { code: 'CRI_NOT_FOUND' })
    })

    const streamed = (what: string, run: (streams: NonNullable<RuntimeHarness['streams']>) => Promise<void>) => {
      void test(what, async (t) => (h.streams ? run(h.streams) : t.skip('programs are only played: they have no streams')))
    }

    streamed('exec carries input, output, errors and the exit code', async ({ copies }) => {
      const { id } = await start(h.runsOn)
      const session = await h.runtime.exec({ containerId: id, cmd: copies, tty: false, stdin: true })
      const [stdout, stderr] = [buffer(session.stdout), buffer(session.stderr ?? Readable.from([]))]
      const input = 'x'.repeat(300_000)
      session.stdin?.end(input)
      assert.deepEqual({ exitCode: await session.done, length: (await stdout).length, stderr: (await stderr).toString().trim() }, { exitCode: 5, length: input.length, stderr: 'err' })
      await assert.rejects(async () => (await h.runtime.exec({ containerId: id, cmd: h.notStartable, tty: false, stdin: false })).done, { code: 'CRI_FAILED' })
      await assert.rejects(h.runtime.exec({ containerId: '0'.repeat(64), cmd: copies, tty: false, stdin: false }), { code: 'CRI_NOT_FOUND' })
    })

    streamed('attach carries what a container reads and says, until it ends', async ({ repeatsLine }) => {
      const { id } = await start(repeatsLine, { stdin: true })
      const session = await h.runtime.attach(id, { stdin: true, tty: false })
      session.stderr?.resume()
      let said = ''
      session.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
      const ended = once(session.stdout, 'close')
      const says = async (words: string) => {
        for (const deadline = AbortSignal.timeout(EVENT_MS_MAX); !said.endsWith(words);) await once(session.stdout, 'data', { signal: deadline }).catch(() => assert.fail(`it said ${JSON.stringify(said)}, not ${words}`))
      }
      await says('ready\n')
      session.stdin?.write('one\n')
      await says('one\none\n')
      // Not before all was heard: containerd drops what a container says last when its standard error ends first and stdinOnce is not set.
      session.stdin?.write('end\n')
      assert.equal(await session.done, 0)
      await ended
      assert.equal(said.replaceAll('ready\n', ''), 'one\none\n')
    })

    streamed('a forwarded port is a connection into the sandbox; where nothing listens it fails', async ({ greets }) => {
      const { id, sandboxId } = await start(greets)
      // It runs before it listens.
      const greeting = async (): Promise<string> => (await buffer(await h.runtime.portForward(sandboxId, 8080)).catch(() => Buffer.alloc(0))).toString()
      let said = ''
      for (const deadlineMs = performance.now() + EVENT_MS_MAX; said === '' && performance.now() < deadlineMs; said = await greeting().catch(() => '')) await sleep(50)
      assert.equal(said.trim(), 'hello')
      await assert.rejects(async () => buffer(await h.runtime.portForward(sandboxId, 8081)))
      await h.runtime.stopContainer(id, 0)
    })

    test('the life of a container and its sandbox is told in order', async () => {
      const config = podConfig()
      const sandboxId = await h.runtime.runPodSandbox(config)
      const seen: string[] = []
      const unsubscribe = h.runtime.events((event) => { if (event.sandboxId === sandboxId) seen.push(event.kind) })
      const id = await h.runtime.createContainer(sandboxId, testContainer(image, 'main', { command: h.runsOn }), config)
      await h.runtime.startContainer(id)
      await h.runtime.stopContainer(id, 0)
      await h.runtime.removeContainer(id)
      await h.runtime.removePodSandbox(sandboxId)
      unsubscribe()
      assert.deepEqual(seen, ['containerCreated', 'containerStarted', 'containerStopped', 'containerDeleted', 'sandboxStopped', 'sandboxDeleted'])
    })

    test('statistics name the container and count its processes', async () => {
      const { id, sandboxId } = await start(h.runsOn)
      const descriptors = new Map((await h.runtime.listMetricDescriptors()).map((d) => [d.name, d]))
      const pod = (await h.runtime.listPodSandboxMetrics()).find((p) => p.podSandboxId === sandboxId)
      const told = pod?.containerMetrics.find((c) => c.containerId === id)?.metrics ?? []
      // An older runtime behind a socket has none at all.
      if (descriptors.size > 0) assert.equal(told.find((m) => m.name === 'container_memory_rss')?.type, 'gauge')
      for (const m of told) if (m.name === 'container_cpu_usage_seconds_total') assert.equal(m.type, 'counter')
      for (const m of [...pod?.metrics ?? [], ...told]) assert.equal(m.labelValues.length, descriptors.get(m.name)?.labelKeys.length, m.name)
      const stats = await h.runtime.containerStats(id)
      assert.equal(stats.containerId, id)
      assert.ok(stats.pids >= 1 && stats.atMs > 0)
      assert.ok(stats.swap === undefined || stats.swap.usageBytes >= 0)
      // An older runtime behind a socket does not tell.
      const network = (await h.runtime.listSandboxNetworks()).find((n) => n.podSandboxId === sandboxId)
      assert.ok(network === undefined || network.interfaces.some((i) => i.name !== 'lo'))
      assert.ok((await h.runtime.listContainerStats()).some((s) => s.containerId === id))
      await assert.rejects(h.runtime.containerStats('0'.repeat(64)), { code: 'CRI_NOT_FOUND' })
    })

    test('a removed image is gone; removing what is not there succeeds; it can be pulled again', async () => {
      await h.runtime.removeImage(h.imageRef)
      await h.runtime.removeImage(h.imageRef)
      assert.equal(await h.runtime.imageStatus(image), undefined)
      assert.deepEqual(await images(), [])
      assert.equal((await h.runtime.pullImage(h.imageRef, {})).id, image)
      // Some count what is used only now and then.
      let info = await h.runtime.imageFsInfo()
      for (const deadlineMs = performance.now() + EVENT_MS_MAX; info.usedBytes === 0 && performance.now() < deadlineMs; info = await h.runtime.imageFsInfo()) await sleep(200)
      assert.ok(info.usedBytes > 0 && info.mountpoint.length > 0)
    })
  })
}

export const busyboxStreams: NonNullable<RuntimeHarness['streams']> = {
  copies: ['sh', '-c', 'cat; echo err >&2; exit 5'], repeatsLine: ['sh', '-c', 'until read -t 1 line; do echo ready; done; echo "$line"; echo "$line"; read line'], greets: ['sh', '-c', 'while :; do nc -l -p 8080 -e echo hello; done'],
}

export function testPod(h: Pick<RuntimeHarness, 'logDirectory' | 'cgroupParent'>, name: string, overrides: Partial<PodSandboxConfig> = {}): PodSandboxConfig {
  return {
    metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 }, hostname: name, logDirectory: `${h.logDirectory}/${name}`, portMappings: [], labels: {}, annotations: {},
    linux: { cgroupParent: `${h.cgroupParent}/pod-${name}`, sysctls: {}, namespaces: { network: 'pod', pid: 'container', ipc: 'pod' } }, ...overrides,
  }
}

export function testContainer(image: string, name: string, overrides: Partial<ContainerConfig> = {}): ContainerConfig {
  return {
    metadata: { name, attempt: 0 }, image, command: [], args: [], workingDir: '', env: [], mounts: [], devices: [], labels: {}, annotations: {}, logPath: `${name}/0.log`, stdin: false, stdinOnce: false, tty: false,
    linux: {
      resources: {}, namespaces: { network: 'pod', pid: 'container', ipc: 'pod' },
      security: { privileged: false, readonlyRootfs: false, supplementalGroups: [], addCapabilities: [], dropCapabilities: [], noNewPrivs: false, seccomp: { profile: 'RuntimeDefault' } },
    }, ...overrides,
  }
}

/** Looks again at each event until it is so; fails after 20 s with what it last saw. */
export async function until<T>(runtime: Pick<ContainerRuntime, 'events'>, look: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  let wake = () => {}
  const unsubscribe = runtime.events(() => wake())
  const deadlineMs = performance.now() + EVENT_MS_MAX
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => { wake = resolve })
      const value = await look()
      if (isSo(value)) return value
      const leftMs = deadlineMs - performance.now()
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<'late'>((resolve) => { timer = setTimeout(resolve, leftMs, 'late') })
      const first = await Promise.race([changed, timeout])
      clearTimeout(timer)
      if (first === 'late') assert.fail(`not within ${EVENT_MS_MAX} ms; last seen: ${JSON.stringify(await look())}`)
    }
  } finally {
    unsubscribe()
  }
}
