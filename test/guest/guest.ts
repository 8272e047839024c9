/**
 * An emulated machine with a kernel of its own, which a test drives: commands by a virtio port, the API server by a
 * forwarded port on loopback (so kubectl runs here, at full speed). Its disk lasts from boot to boot and is thrown away
 * with it. A power cut is SIGKILL for the emulator: the guest's page cache is gone, what it had written out stays.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../lab/cluster.ts'
import { emulatorTime } from './emulator-time.ts'

export interface CommandResult { code: number; stdout: string; stderr: string }
export interface GuestOptions {
  /** With disk.ext4, vmlinuz and initrd.img: what make-disk.sh made. */
  diskDir: string
  arch: 'amd64' | 'arm64'
  /** Files to find in the guest below /cargo, read-only: name to path here. */
  cargo: Readonly<Record<string, string>>
}

/** Of the emulator's time, as all limits here: Debian is up after half a minute to two. */
const BOOT_MS_MAX = 300_000
const POWER_OFF_MS_MAX = 120_000
export const COMMAND_MS_MAX = 120_000
const HANDSHAKES_MAX = 5

// Without protection keys: V8 guards its code with them, and dies of how the emulator does them. Without the look at the timer: an emulator that
// waits for a processor is late with its interrupts, and the kernel gives up.
const MACHINES = {
  amd64: { program: 'qemu-system-x86_64', args: ['-M', 'q35', '-cpu', 'max,-pku'], kernel: 'console=ttyS0 no_timer_check' },
  arm64: { program: 'qemu-system-aarch64', args: ['-M', 'virt', '-cpu', 'cortex-a72'], kernel: 'console=ttyAMA0' },
} as const

export class Guest implements AsyncDisposable {
  readonly dir: string
  readonly #options: GuestOptions
  #apiPort = 0
  #emulator: ChildProcess | undefined
  #commands: Socket | undefined
  #lines: AsyncIterator<string> | undefined
  #nextId = 1
  /** Commands wait for each other: the guest runs one at a time. */
  #turn: Promise<unknown> = Promise.resolve()
  boots = 0

  constructor(options: GuestOptions) {
    this.#options = options
    this.dir = mkdtempSync(join(tmpdir(), 'skiff-guest-'))
    const { diskDir, cargo } = options
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', join(diskDir, 'disk.ext4'), join(this.dir, 'disk.qcow2')])
    const files = join(this.dir, 'cargo')
    for (const [name, path] of Object.entries({ ...cargo, 'run-commands.sh': join(import.meta.dirname, 'run-commands.sh') })) {
      mkdirSync(join(files, name, '..'), { recursive: true })
      copyFileSync(path, join(files, name))
    }
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', files, join(this.dir, 'cargo.ext4'), '400M'])
    rmSync(files, { recursive: true })
  }

  /** Resolves when it takes commands. */
  async boot(): Promise<void> {
    const { arch, diskDir } = this.#options
    const { program, args, kernel } = MACHINES[arch]
    this.#apiPort = await freePort()
    const port = join(this.dir, 'commands.sock')
    rmSync(port, { force: true })
    const log = openSync(join(this.dir, 'emulator.log'), 'a')
    this.#emulator = spawn('nice', [
      '-n', process.env['SKIFF_GUEST_NICE'] ?? '15', program, '-accel', process.env['SKIFF_GUEST_ACCEL'] ?? 'tcg', ...args, '-smp', '2', '-m', '2048', '-nodefaults', '-display', 'none', '-no-reboot',
      // A kernel that panics ends the emulator, which is seen at once.
      '-kernel', join(diskDir, 'vmlinuz'), '-initrd', join(diskDir, 'initrd.img'), '-append', `root=/dev/vda rw ${kernel} panic=-1 loglevel=4 mitigations=off`,
      '-drive', `file=${join(this.dir, 'disk.qcow2')},if=virtio`, '-drive', `file=${join(this.dir, 'cargo.ext4')},if=virtio,format=raw,readonly=on`,
      '-serial', `file:${join(this.dir, `console-${++this.boots}.log`)}`, '-device', 'virtio-rng-pci',
      '-device', 'virtio-serial-pci', '-chardev', `socket,id=commands,path=${port},server=on,wait=off`, '-device', 'virtserialport,chardev=commands,name=skiff.commands',
      // Closed to the world but for the one port.
      '-netdev', `user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:${this.#apiPort}-10.0.2.15:6443`, '-device', 'virtio-net-pci,netdev=net',
    ], { stdio: ['ignore', log, log] })
    closeSync(log)
    await until('the emulator has started', 30_000, () => existsSync(port) || this.#emulator?.exitCode !== null)
    if (this.#emulator.exitCode !== null) throw new Error(`${program} ended at once: ${readFileSync(join(this.dir, 'emulator.log'), 'utf8')}`)
    this.#commands = connect(port)
    this.#lines = linesOf(this.#commands)
    const greeting = await this.#nextLine(BOOT_MS_MAX, () => `Debian did not come up; its console says:\n${this.console().slice(-3000)}`)
    if (!greeting.startsWith('hello ')) throw new Error(`the guest greeted with ${greeting}`)
  }

  console(): string { return readFileSync(join(this.dir, `console-${this.boots}.log`), 'latin1') }

  /** Runs a shell script as root. Waits its turn. */
  run(script: string, timeoutMs = COMMAND_MS_MAX): Promise<CommandResult> {
    const work = this.#turn.then(async () => {
      const id = String(this.#nextId++)
      this.#commands?.write(`${id} ${Buffer.from(script).toString('base64')}\n`)
      for (;;) {
        const line = await this.#nextLine(timeoutMs, () => `not done within ${timeoutMs / 1000} s: ${script}\nconsole:\n${this.console().slice(-2000)}`)
        const [answered, code = '', stdout = '', stderr = ''] = line.split(' ')
        // An answer to a command that was given up.
        if (answered === id) return { code: Number(code), stdout: Buffer.from(stdout, 'base64').toString(), stderr: Buffer.from(stderr, 'base64').toString() }
      }
    })
    this.#turn = work.catch(() => { /* The caller has it; the next command does not care. */ })
    return work
  }

  /** Throws unless it exits 0. Returns stdout without the last newline. */
  async must(script: string, timeoutMs?: number): Promise<string> {
    const { code, stdout, stderr } = await this.run(script, timeoutMs)
    if (code !== 0) throw new Error(`in the guest: ${script}\nexit ${code}: ${stderr}${stdout}`)
    return stdout.replace(/\n$/, '')
  }

  /** After each start of the server: its kubeconfig as this side of the forwarded port needs it. */
  async fetchKubeconfig(): Promise<void> {
    const text = await this.must('cat /etc/skiff/skiff.yaml')
    writeFileSync(join(this.dir, 'kubeconfig'), text.replace(/server: https:\/\/[^\n]*/, `server: https://127.0.0.1:${this.#apiPort}`), { mode: 0o600 })
  }

  get kubeconfig(): string { return join(this.dir, 'kubeconfig') }

  /** kubectl gives a handshake ten seconds, which a guest that waits for a processor may not have; nothing was asked by then. */
  async kubectl(args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<CommandResult> {
    for (let again = HANDSHAKES_MAX; ; again--) {
      const result = await this.#kubectlOnce(args, options)
      if (again === 0 || result.code === 0 || !result.stderr.includes('TLS handshake timeout')) return result
    }
  }

  #kubectlOnce(args: readonly string[], options: { input?: string; timeoutMs?: number }): Promise<CommandResult> {
    return new Promise((resolve) => {
      const env = { ...process.env, KUBECACHEDIR: join(this.dir, 'kubectl-cache') }
      const child = execFile('kubectl', ['--kubeconfig', this.kubeconfig, ...args], { env, timeout: options.timeoutMs ?? COMMAND_MS_MAX, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr })
      })
      child.stdin?.end(options.input ?? '')
    })
  }

  async mustKubectl(args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.kubectl(args, options)
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}\nexit ${code}: ${stderr}${stdout}`)
    return stdout.replace(/\n$/, '')
  }

  /** kubectl at a terminal; what it said. */
  async mustTerminal(args: readonly string[]): Promise<string> {
    const command = ['kubectl', '--kubeconfig', this.kubeconfig, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'], timeout: COMMAND_MS_MAX })
    let said = ''
    child.stdout.on('data', (chunk) => { said += String(chunk) })
    const [code] = await once(child, 'close') as [number | null]
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}\nexit ${code}: ${said}`)
    return said
  }

  /** Nothing in the guest gets a chance to do anything. */
  async cutPower(): Promise<void> {
    const emulator = this.#emulator
    if (!emulator || emulator.exitCode !== null || emulator.signalCode !== null) return
    const gone = once(emulator, 'exit')
    emulator.kill('SIGKILL')
    await gone
    this.#commands?.destroy()
  }

  /** As the power button does it: systemd stops everything. Returns how long that took. */
  async powerOff(): Promise<number> {
    const emulator = this.#emulator
    if (!emulator) throw new Error('the guest does not run')
    const elapsedMs = this.#stopwatch()
    const answer: { refused?: string } = {}
    // The machine may be off before its answer is out: that it goes is what counts.
    this.run('systemctl poweroff --no-block').then(({ code, stderr }) => { if (code !== 0) answer.refused = stderr }, () => { /* it went without a word */ })
    await this.until('the guest has switched itself off', POWER_OFF_MS_MAX, () => {
      if (answer.refused !== undefined) throw new Error(`the guest does not switch itself off: ${answer.refused}`)
      return emulator.exitCode !== null
    })
    this.#commands?.destroy()
    return elapsedMs()
  }

  /** As the lab's, but by the emulator's time. */
  async until(what: string, timeoutMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
    for (const elapsedMs = this.#stopwatch(); ; ) {
      if (await holds()) return
      if (elapsedMs() > timeoutMs) throw new Error(`not within ${timeoutMs / 1000} s of the guest: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** SKIFF_GUEST_KEEP leaves the directory, with consoles and disk, to look into. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.cutPower()
    if (process.env['SKIFF_GUEST_KEEP'] === undefined) rmSync(this.dir, { recursive: true, force: true })
    else console.log(`kept: ${this.dir}`)
  }

  /** What is measured here is the guest's doing: that others kept it from the processor is not. */
  #stopwatch(): () => number {
    return emulatorTime(this.#emulator?.pid ?? 0)
  }

  async #nextLine(timeoutMs: number, why: () => string): Promise<string> {
    let timer: NodeJS.Timeout | undefined
    const elapsedMs = this.#stopwatch()
    const late = new Promise<never>((_resolve, reject) => {
      const look = () => {
        const leftMs = timeoutMs - elapsedMs()
        if (leftMs <= 0) reject(new Error(why()))
        else timer = setTimeout(look, leftMs)
      }
      look()
    })
    try {
      const next = await Promise.race([this.#lines?.next() ?? late, late])
      if (next.done) throw new Error(`the guest has gone: ${why()}`)
      return next.value
    } finally {
      clearTimeout(timer)
    }
  }
}

async function* linesOf(socket: Socket): AsyncGenerator<string, void> {
  let rest = ''
  for await (const chunk of socket) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
