/** A program that runs on while a test talks to it: watches, followed logs, forwarded ports, terminals. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { spawn as spawnTerminal, type IPty } from 'node-pty'
import type { LabHost } from './host.ts'

/** How long a program may take to say what a test waits for. */
const SAY_MS_MAX = 60_000

/** What a test sees of either kind. */
export interface Talker extends AsyncDisposable {
  /** Everything said so far; stdout and stderr as they came. */
  readonly output: string
  /** Resolves with the output's text that matched, as soon as it is there. Fails with the whole output. */
  says(pattern: RegExp | string, timeoutMs?: number): Promise<string>
  write(text: string): void
  /** Exit code, null after a signal. */
  readonly exited: Promise<number | null>
}

class Output {
  text = ''
  readonly #waiters = new Set<() => void>()
  #ended = false

  add(chunk: string): void {
    this.text += chunk
    for (const look of this.#waiters) look()
  }

  end(): void {
    this.#ended = true
    for (const look of this.#waiters) look()
  }

  says(pattern: RegExp | string, timeoutMs: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const found = (): string | undefined => typeof pattern === 'string' ? (this.text.includes(pattern) ? pattern : undefined) : pattern.exec(this.text)?.[0]
      const settle = (fail?: string) => {
        clearTimeout(timer)
        this.#waiters.delete(look)
        const text = found()
        if (text !== undefined) resolve(text)
        else reject(new Error(`${fail ?? ''}: waited for ${String(pattern)}, it said:\n${this.text}`))
      }
      const look = () => {
        if (found() !== undefined) settle()
        else if (this.#ended) settle('the program ended')
      }
      const timer = setTimeout(() => settle(`not within ${timeoutMs / 1000} s`), timeoutMs)
      this.#waiters.add(look)
      look()
    })
  }
}

export class Program implements Talker {
  readonly #child: ChildProcess
  readonly #output = new Output()
  readonly exited: Promise<number | null>

  /** On a lab host. */
  constructor(host: LabHost, command: readonly string[]) {
    this.#child = host.spawn(command, { stdio: ['pipe', 'pipe', 'pipe'] })
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => this.#output.add(text))
    this.#child.stdin?.on('error', () => { /* it reads no more: its end says so */ })
    this.exited = once(this.#child, 'close').then(([code]) => {
      this.#output.end()
      return code as number | null
    })
  }

  get output(): string { return this.#output.text }
  says(pattern: RegExp | string, timeoutMs = SAY_MS_MAX): Promise<string> { return this.#output.says(pattern, timeoutMs) }
  write(text: string): void { this.#child.stdin?.write(text) }
  endInput(): void { this.#child.stdin?.end() }
  kill(signal: NodeJS.Signals): void { this.#child.kill(signal) }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }
}

/** The same at a terminal: what a person at a keyboard gets. */
export class Terminal implements Talker {
  readonly #pty: IPty
  readonly #output = new Output()
  readonly exited: Promise<number | null>

  constructor(host: LabHost, command: readonly string[], size: { columns: number; rows: number }) {
    const [file = '', ...args] = host.wrap(command)
    this.#pty = spawnTerminal(file, args, { name: 'xterm', cols: size.columns, rows: size.rows, env: process.env })
    this.#pty.onData((text) => this.#output.add(text))
    this.exited = new Promise((resolve) => {
      this.#pty.onExit(({ exitCode }) => {
        this.#output.end()
        resolve(exitCode)
      })
    })
  }

  get output(): string { return this.#output.text }
  says(pattern: RegExp | string, timeoutMs = SAY_MS_MAX): Promise<string> { return this.#output.says(pattern, timeoutMs) }
  write(text: string): void { this.#pty.write(text) }
  resize(size: { columns: number; rows: number }): void { this.#pty.resize(size.columns, size.rows) }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pty.kill('SIGKILL')
    await this.exited
  }
}
