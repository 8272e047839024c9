/** The few mounts volumes need. Each call is idempotent; the kernel's mount table is the only memory. */
import { mkdir, readFile } from 'node:fs/promises'
import { CodedError, hasCode } from '#base/errors.ts'
import { detachMount, mountFileSystem } from '#base/mounts.ts'
import { runCommand, type CommandFailure } from '../run-command.ts'

/** mount.nfs tries a server that does not answer for two minutes and then says why it could not (nfs(5), `retry`). */
const MOUNT_MS_MAX = 150_000

export interface Mounter {
  /** Makes the directory and mounts a tmpfs there unless one is mounted. */
  tmpfs(path: string, options: { sizeBytes?: number; mode: number }): Promise<void>
  /** Binds `source` onto `target`, which exists. */
  bind(source: string, target: string): Promise<void>
  /** Mounts a file system of another machine or disk onto `target`, which exists, unless something is mounted there. */
  mount(type: string, source: string, target: string, options: readonly string[]): Promise<void>
  /** Until nothing is mounted at `path`; succeeds when nothing is. */
  unmount(path: string): Promise<void>
  /** Mount points at or below `path`, deepest first. */
  below(path: string): Promise<string[]>
}

export const systemMounter: Mounter = {
  async tmpfs(path, { sizeBytes, mode }) {
    await mkdir(path, { recursive: true, mode: 0o750 })
    if ((await mountPoints(path)).includes(path)) return
    const tmpfs = (more: string) => mountFileSystem({ type: 'tmpfs', source: 'tmpfs', target: path, options: `mode=${mode.toString(8)}${sizeBytes === undefined ? '' : `,size=${sizeBytes}`}${more}` })
    try {
      tmpfs(',noswap')
    } catch (error) {
      // Kernels before 6.4 do not know noswap.
      if (!hasCode(error, 'EINVAL')) throw error
      tmpfs('')
    }
  },
  async bind(source, target) {
    await runCommand('mount', ['--no-canonicalize', '--bind', source, target])
  },
  async mount(type, source, target, options) {
    if ((await mountPoints(target)).includes(target)) return
    const args = ['-t', type, ...(options.length > 0 ? ['-o', options.join(',')] : []), source, target]
    try {
      await runCommand('mount', args, { timeoutMs: MOUNT_MS_MAX })
    } catch (error) {
      throw hasCode(error, 'COMMAND_FAILED') ? mountFailure(error as CodedError, args) : error
    }
  },
  async unmount(path) {
    // The same path may carry several mounts, one over the other. What hangs (a file server that is away) must hang a program, not a thread of ours.
    for (const { type } of (await mounts(path)).filter((mount) => mount.point === path).toReversed()) {
      if (type === 'tmpfs') await detachMount(path)
      else await runCommand('umount', ['--no-canonicalize', '-l', path])
    }
  },
  async below(path) {
    return (await mountPoints(path)).toReversed()
  },
}

/** As mount-utils words it (doMount). */
function mountFailure(error: CodedError, args: readonly string[]): CodedError {
  const { how, output } = error.details as unknown as CommandFailure
  return new CodedError('MOUNT_FAILED', `mount failed: ${how}\nMounting command: mount\nMounting arguments: ${args.join(' ')}\nOutput: ${output}\n`, { cause: error })
}

/** At or below `path`, in the order they were mounted. */
async function mounts(path: string): Promise<{ point: string; type: string }[]> {
  const found: { point: string; type: string }[] = []
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const fields = line.split(' ')
    const point = fields[4]?.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
    if (point !== undefined && (point === path || point.startsWith(`${path}/`))) found.push({ point, type: fields[fields.indexOf('-') + 1] ?? '' })
  }
  return found
}

const mountPoints = async (path: string): Promise<string[]> => (await mounts(path)).map(({ point }) => point)

/** For tests without the right to mount: directories stand in. */
export function createMemoryMounter(): Mounter & { readonly mounted: Map<string, string> } {
  const mounted = new Map<string, string>()
  return {
    mounted,
    async tmpfs(path) {
      await mkdir(path, { recursive: true })
      mounted.set(path, 'tmpfs')
    },
    bind: (source, target) => { mounted.set(target, source); return Promise.resolve() },
    mount: (type, source, target) => { mounted.set(target, `${type} ${source}`); return Promise.resolve() },
    unmount: (path) => { mounted.delete(path); return Promise.resolve() },
    below: (path) => Promise.resolve([...mounted.keys()].filter((p) => p === path || p.startsWith(`${path}/`)).toReversed()),
  }
}
