/** For tests of the real runtime: a directory, a registry with a busybox image, a network that only claims to be one; all gone afterwards. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { createEmbeddedRuntime } from '#cri/index.ts'
import type { EmbeddedRuntimeOptions } from '#cri/index.ts'
import { cgroupDirectories, readCgroupLayout } from '#cri/runc/cgroups.ts'
import { unmountBelow } from '#cri/runc/namespace-pins.ts'
import { runCommand } from '#cri/runc/run-command.ts'
import type { ContainerRuntime, PodNetwork } from '#cri/runtime.ts'
import { buildBusyboxImage } from './build-image.ts'
import type { BuiltImage } from './build-image.ts'
import { pushImage, startRegistry } from './registry.ts'
import type { TestRegistry } from './registry.ts'

export interface TestMachine {
  root: string
  registry: TestRegistry
  image: BuiltImage
  imageRef: string
  cgroupRoot: string
  options: EmbeddedRuntimeOptions
  network: FakeNetwork
  open(overrides?: Partial<EmbeddedRuntimeOptions>): Promise<ContainerRuntime>
  close(): Promise<void>
}

/** Why real containers cannot run here, for a test's `skip`; false when they can. */
export async function missingForContainers(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'needs root'
  for (const program of ['runc', 'conmon', 'unshare', 'ip', 'mount', 'docker-registry']) {
    if ((await runCommand(['which', program], { clock: systemClock })).exitCode !== 0) return `needs ${program}`
  }
  if (!readFileSync('/proc/filesystems', 'utf8').includes('overlay') && (await runCommand(['modprobe', 'overlay'], { clock: systemClock })).exitCode !== 0) return 'needs overlayfs'
  return false
}

/** The unpack child as a script: what `main` dispatches to in the binary. */
export const unpackCommand = [process.execPath, '--disable-warning=ExperimentalWarning', '-e', `import(${JSON.stringify(join(import.meta.dirname, '../../cri/runc/unpack-child.ts'))}).then((m) => m.runUnpackChild())`]

export class FakeNetwork implements PodNetwork {
  readonly pods = new Map<string, string>()
  #next = 1

  async setup(sandbox: { id: string }): Promise<{ ips: string[] }> {
    let ip = this.pods.get(sandbox.id)
    if (ip === undefined) this.pods.set(sandbox.id, ip = `10.42.0.${++this.#next}`)
    return { ips: [ip] }
  }

  async teardown(sandbox: { id: string }): Promise<void> { this.pods.delete(sandbox.id) }
  notReadyReason(): undefined { return undefined }
}

/** `SKIFF_TEST_OCI_RUNTIME=crun` takes crun: it needs a machine with cgroup version 2 (test/guest). */
export async function testMachine(): Promise<TestMachine> {
  const root = mkdtempSync(join(tmpdir(), 'skiff-cri-'))
  const registry = await startRegistry({ dir: join(root, 'registry') })
  const image = await buildBusyboxImage(join(root, 'image'))
  const imageRef = await pushImage(image, { host: registry.host, repository: 'busybox', tag: '1' })
  const network = new FakeNetwork()
  const cgroupRoot = `/${root.split('/').at(-1)}`
  const options: EmbeddedRuntimeOptions = {
    dataDir: join(root, 'data'), stateDir: join(root, 'run'), network, clock: systemClock, random: systemRandom, log: silentLog, selfCommand: unpackCommand, cgroupRoot, pullStallMs: 5000,
    ociRuntime: process.env['SKIFF_TEST_OCI_RUNTIME'] === 'crun' ? 'crun' : 'runc',
  }
  const opened: ContainerRuntime[] = []
  const machine: TestMachine = {
    root, registry, image, imageRef, cgroupRoot, options, network,
    async open(overrides = {}) {
      const runtime = await createEmbeddedRuntime({ ...options, ...overrides })
      opened.push(runtime)
      return runtime
    },
    async close() {
      const last = opened.at(-1)
      for (const sandbox of await last?.listPodSandbox() ?? []) await last?.removePodSandbox(sandbox.id)
      for (const runtime of opened) await runtime.close()
      await registry.stop()
      await unmountBelow([root], systemClock)
      for (const directory of cgroupDirectories(cgroupRoot, readCgroupLayout())) removeTree(directory)
      rmSync(root, { recursive: true, force: true })
    },
  }
  return machine
}

/** What is left of a test's runtime in the kernel: mounts below its directory. */
export function mountsLeft(root: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').map((line) => line.split(' ')[4] ?? '').filter((path) => path.startsWith(`${root}/`))
}

export function filesIn(directory: string): string[] {
  return readdirSync(directory).sort()
}

/** A cgroup with those below it; their processes must have ended. */
function removeTree(directory: string): void {
  if (!existsSync(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(directory, entry.name))
  rmdirSync(directory)
}
