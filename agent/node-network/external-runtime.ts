/** A container runtime that is not ours (containerd, CRI-O), given our pod network: as a CNI plugin, written where its own configuration says. */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { cniFiles, serveCni, type CniFile } from '#cni/index.ts'
import { connectRuntime, type ContainerRuntime, type ExternalRuntime, type PodNetwork } from '#cri/index.ts'

export interface ExternalRuntimeOptions {
  stateDir: string
  network: PodNetwork
  /** How this program starts itself as a CNI plugin. */
  pluginCommand: readonly string[]
  clock: Clock
  log: Log
}

const RETRY_MS = 2_000
/** Where runtimes look that say nothing of it. */
const USUAL_DIRS = { confDir: '/etc/cni/net.d', binDir: '/opt/cni/bin' }

/** Waits for the runtime, for both may be started together. Rejects when the signal aborts first. */
export async function openExternalRuntime(endpoint: string, options: ExternalRuntimeOptions, signal: AbortSignal): Promise<ContainerRuntime> {
  const { clock, log, network, stateDir } = options
  await mkdir(stateDir, { recursive: true, mode: 0o711 })
  const socket = join(stateDir, 'cni.sock')
  const server = await serveCni(socket, network, log)
  const runtime = await connected()
  const dirs = cniDirs(await runtime.info())
  for (const file of cniFiles({ ...dirs, socket, pluginCommand: options.pluginCommand })) await put(file)
  log.info('container runtime is external; the pod network is offered to it as a CNI plugin', { endpoint, ...dirs })
  const close = runtime.close.bind(runtime)
  return Object.assign(runtime, {
    async close() {
      await server.close()
      await close()
    },
  })

  async function connected(): Promise<ExternalRuntime> {
    let told = ''
    for (;;) {
      try {
        return await connectRuntime({ endpoint, network, clock, log })
      } catch (error) {
        const { message } = asError(error)
        if (message !== told) log.warn('waiting for the container runtime', { endpoint, error: message })
        told = message
      }
      await clock.sleep(RETRY_MS, signal)
    }
  }
}

/** containerd tells its configuration as JSON: `cni.binDir` (or `binDirs`) and `cni.confDir`. */
export function cniDirs(info: Readonly<Record<string, string>>): { confDir: string; binDir: string } {
  let cni: { binDir?: unknown; binDirs?: unknown; confDir?: unknown } = {}
  try {
    cni = (JSON.parse(info['config'] ?? '{}') as { cni?: typeof cni }).cni ?? {}
  } catch {
    // Of a runtime that tells it in another language.
  }
  const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
  return { confDir: text(cni.confDir) ?? USUAL_DIRS.confDir, binDir: text(Array.isArray(cni.binDirs) ? cni.binDirs[0] : undefined) ?? text(cni.binDir) ?? USUAL_DIRS.binDir }
}

/** Written only when it is not as it should be: runtimes read their network anew at each change. */
async function put({ path, content, mode, keep }: CniFile): Promise<void> {
  const before = await readFile(path, 'utf8').catch(() => undefined)
  if (before !== undefined && (keep || before === content)) return
  await writeFileAtomic(path, content, { mode })
}
