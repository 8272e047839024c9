/**
 * A sandbox's namespaces without a process: this thread enters new ones, pins each by a bind mount, sets them up from inside and comes back
 * (`native.ts`). Those of a pod with its own users take a short-lived process: a thread among others cannot enter a user namespace.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import { detachMount, mountFileSystem, MOUNT_FLAGS } from '#base/mounts.ts'
import type { IdRange } from '../runtime.ts'
import { SANDBOX_VARIABLE } from './leftovers.ts'
import { mountsBelow, readMountTable } from './mount-table.ts'
import { bringLoopbackUp, pinNewNamespaces } from './native.ts'
import { openPauseProgram } from './pause-program.ts'
import { identify } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'
import { SEARCH_PATH, mustRun, runCommand, type CommandResult } from './run-command.ts'

export interface PinRequest {
  /** Undefined: the host's. */
  net: string | undefined
  ipc: string | undefined
  uts: string | undefined
  /** Of its own users: the other namespaces then belong to it. */
  user?: { path: string; range: IdRange }
  hostname: string
  /** `net.ipv4.tcp_syncookies` or with slashes, to value; written inside the new namespaces. */
  sysctls: Record<string, string>
  /** Directory to mount a tmpfs on, shared as /dev/shm by the containers. */
  shm: string | undefined
}

const SHM_BYTES = 64 << 20

/** Throws CRI_INVALID naming the sysctl the kernel refuses. */
export async function pinNamespaces(request: PinRequest, clock: Clock): Promise<void> {
  const { net, ipc, uts, shm } = request
  for (const path of [net, ipc, uts]) {
    if (path === undefined) continue
    await mkdir(dirname(path), { recursive: true, mode: 0o711 })
    await writeFile(path, '')
  }
  const sysctls = Object.entries(request.sysctls).map(([name, value]) => ({ path: sysctlPath(name), value }))
  if (shm !== undefined) {
    await mkdir(shm, { recursive: true })
    mountShm(shm, request.user)
  }
  if (request.user) return pinWithOwnUsers(request, request.user, sysctls, clock)
  try {
    pinNewNamespaces({ net, ipc, uts }, () => {
      if (uts !== undefined) writeFileSync('/proc/sys/kernel/hostname', request.hostname)
      if (net !== undefined) bringLoopbackUp()
      for (const { path, value } of sysctls) writeSysctl(path, value)
    })
  } catch (error) {
    if (hasCode(error, 'CRI_INVALID')) throw error
    throw new CodedError('CRI_FAILED', `failed to make the namespaces of a sandbox: ${asError(error).message}`, { cause: error })
  }
}

function mountShm(target: string, user: PinRequest['user']): void {
  const owner = user ? `,uid=${user.range.hostId},gid=${user.range.hostId}` : ''
  mountFileSystem({ type: 'tmpfs', source: 'shm', target, flags: MOUNT_FLAGS.noSuid + MOUNT_FLAGS.noDev + MOUNT_FLAGS.noExec, options: `mode=1777,size=${SHM_BYTES}${owner}` })
}

function writeSysctl(path: string, value: string): void {
  try {
    writeFileSync(`/proc/sys/${path}`, `${value}\n`)
  } catch (error) {
    throw new CodedError('CRI_INVALID', `failed to set sandbox sysctls: sysctl ${path}: ${asError(error).message}`, { cause: error })
  }
}

/** They are made and pinned first, then set up from outside: the host's name is the host's to give, sysctls the owner's of the namespace. */
async function pinWithOwnUsers(request: PinRequest, user: NonNullable<PinRequest['user']>, sysctls: readonly { path: string; value: string }[], clock: Clock): Promise<void> {
  const { net, ipc, uts, hostname } = request
  await pinOwnUsers(request, user, clock)
  const flags = ([['net', net], ['ipc', ipc], ['uts', uts]] as const).flatMap(([flag, path]) => (path === undefined ? [] : [`--${flag}=${path}`]))
  const setUp = ['set -e', ...(uts === undefined ? [] : ['printf %s "$1" > /proc/sys/kernel/hostname']), ...(net === undefined ? [] : ['ip link set lo up'])].join('\n')
  // "name value" pairs; a value may hold spaces.
  const writeSysctls = 'while [ $# -gt 0 ]; do printf "%s\\n" "$2" > "/proc/sys/$1" || { echo "sysctl $1" >&2; exit 3; }; shift 2; done'
  const run = async (enter: readonly string[], command: readonly string[]) => judge(await runCommand(['nsenter', ...enter, ...command], { clock, timeoutMs: 30_000 }))
  await run(flags, ['sh', '-c', setUp, 'sh', hostname])
  await run([`--user=${user.path}`, ...flags], ['sh', '-c', writeSysctls, 'sh', ...sysctls.flatMap(({ path, value }) => [path, value])])
}

function judge(result: CommandResult): void {
  if (result.exitCode === 0) return
  const words = result.stderr.toString().trim()
  if (result.exitCode === 3) throw new CodedError('CRI_INVALID', `failed to set sandbox sysctls: ${words}`)
  throw new CodedError('CRI_FAILED', `failed to make the namespaces of a sandbox: ${words || `exit code ${result.exitCode}`}`)
}

/** A process that only holds them; what it holds is bound to files before it goes. Its ids can be mapped by the host's root only. */
async function pinOwnUsers(request: PinRequest, { path, range }: NonNullable<PinRequest['user']>, clock: Clock): Promise<void> {
  const pins = ([['user', path], ['net', request.net], ['ipc', request.ipc], ['uts', request.uts]] as const).flatMap(([name, file]) => (file === undefined ? [] : [{ name, file }]))
  await mkdir(dirname(path), { recursive: true, mode: 0o711 })
  await writeFile(path, '')
  const child = spawn('unshare', [...pins.map(({ name }) => `--${name}`), 'sh', '-c', 'echo; read end'], { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: SEARCH_PATH } })
  const { pid } = child
  const words: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => words.push(chunk))
  child.stdin.on('error', () => {}) // It ended by itself: the wait below says so.
  const cancel = clock.after(30_000, () => child.kill('SIGKILL'))
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', (error) => reject(new CodedError('CRI_FAILED', `unshare (util-linux) cannot be started: ${error.message}`, { cause: error })))
      child.once('close', () => reject(new CodedError('CRI_FAILED', `failed to make a user namespace: ${Buffer.concat(words).toString().trim() || 'the kernel may forbid them: see /proc/sys/user/max_user_namespaces'}`)))
      child.stdout.once('data', () => resolve())
    })
    for (const map of ['uid_map', 'gid_map']) await writeFile(`/proc/${pid}/${map}`, `0 ${range.hostId} ${range.length}\n`)
    for (const { name, file } of pins) mountFileSystem({ type: '', source: `/proc/${pid}/ns/${name}`, target: file, flags: MOUNT_FLAGS.bind })
  } finally {
    cancel()
    child.stdin.end()
  }
}

/** Is a namespace (or anything) still mounted there? */
export function isPinned(path: string, table = readMountTable()): boolean {
  return table.some((entry) => entry.path === path)
}

/** Unmounts everything at and below these paths and removes them. Succeeds when there is nothing left to do. */
export async function unpin(paths: readonly string[], clock: Clock): Promise<void> {
  // The table is long where there are many pods, and sandboxes are asked to go twice.
  if (!paths.some((path) => existsSync(path))) return
  await unmountBelow(paths, clock)
  for (const path of paths) await rm(path, { recursive: true, force: true })
}

/** What containers and sandboxes are made of; all of it answers at once. */
const QUICK_TYPES = new Set(['overlay', 'tmpfs', 'nsfs'])

/** Lazily: what a dying process still holds goes with it. What may hang (a pod's file server that is away) hangs a program. */
export async function unmountBelow(paths: readonly string[], clock: Clock): Promise<void> {
  const table = readMountTable()
  for (const { path, fsType } of paths.flatMap((root) => mountsBelow(root, table))) {
    if (QUICK_TYPES.has(fsType)) await detachMount(path)
    else await mustRun(['umount', '-l', '-n', path], { clock, timeoutMs: 30_000 })
  }
}

/** Init of a process namespace shared by a pod's containers (`pause-program.ts`). `unshare` itself ends once the fork is told of, and init goes on without a parent of ours. */
export async function startSharedPidInit({ sandboxId, dataDir, userPath, clock }: { sandboxId: string; dataDir: string; userPath: string | undefined; clock: Clock }): Promise<ProcessIdentity> {
  const enter = userPath === undefined ? [] : ['nsenter', `--user=${userPath}`]
  const pause = await openPauseProgram(dataDir)
  const [program, ...args] = [...enter, 'unshare', '--pid', '--fork', '/proc/self/fd/3']
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore', pause.fd], detached: true, cwd: '/', env: { PATH: SEARCH_PATH, [SANDBOX_VARIABLE]: sandboxId } })
  await pause.close()
  const parent = child.pid
  if (parent === undefined) {
    await new Promise((resolve) => child.once('error', resolve))
    throw new CodedError('CRI_FAILED', 'unshare (util-linux) is not installed: install it and try again')
  }
  child.unref()
  const deadlineMs = clock.monotonicMs() + 10_000
  for (;;) {
    const pid = await childOf(parent)
    if (pid !== undefined) {
      child.kill('SIGKILL')
      const identity = identify(pid)
      if (identity) {
        await spare(pid)
        return identity
      }
    }
    if (clock.monotonicMs() > deadlineMs || child.exitCode !== null) throw new CodedError('CRI_FAILED', 'the init of a shared process namespace did not start')
    await clock.sleep(2)
  }
}

/** Upstream's score of a sandbox: all of the pod hangs on it. Where it may not be lowered it is the runtime's. */
async function spare(pid: number): Promise<void> {
  const { writeFile } = process.getBuiltinModule('node:fs/promises')
  await writeFile(`/proc/${pid}/oom_score_adj`, '-998').catch(() => {})
}

async function childOf(parent: number): Promise<number | undefined> {
  const { readFile } = process.getBuiltinModule('node:fs/promises')
  const children = await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8').catch(() => '')
  const pid = Number(children.trim().split(' ')[0])
  if (!pid) return undefined
  // The fork exists before it is init: wait until it has given itself its name.
  const comm = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')
  return comm.trim() === 'pause' ? pid : undefined
}

/** `net.ipv4.ip_forward` and `net/ipv4/ip_forward` alike, as sysctl(8) reads them. */
function sysctlPath(name: string): string {
  const separator = /[./]/.exec(name)?.[0]
  const path = separator === '/' ? name : name.split('.').map((part) => part.replaceAll('/', '.')).join('/')
  if (!/^[a-zA-Z0-9_.:-]+(?:\/[a-zA-Z0-9_.:-]+)+$/.test(path) || path.split('/').some((part) => part === '..' || part === '.')) throw new CodedError('CRI_INVALID', `invalid sysctl name ${JSON.stringify(name)}`)
  return path
}
