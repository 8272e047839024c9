/** What a pretended container does: chosen by image, or read off its command for the few words tests need. */
import type { ContainerConfig } from '../runtime.ts'

export interface ExecOutcome { exitCode: number; stdout?: string; stderr?: string; takesMs?: number }
export interface ExecContext { nowMs: number; config: ContainerConfig; stdin?: Buffer }

export interface Program {
  /** Exits by itself this long after its start; undefined: runs until stopped. */
  ends?: { afterMs: number; exitCode: number; reason?: string }
  /** Undefined: exits at once with 143. */
  onTerm?: 'ignore' | { afterMs: number; exitCode: number }
  /** The runtime cannot start it (no such file, say). */
  startError?: string
  prints?: string[]
  /** Ports something listens on, for portForward. */
  listens?: number[]
  /** An attached stdin comes back on stdout, as from `cat`. */
  echoesStdin?: boolean
  exec?: (cmd: string[], ctx: ExecContext) => ExecOutcome
}

/** `true`, `false`, `exit N`, `sleep N`, `echo ...`, `not-there` (cannot be started), also behind `sh -c`, one after another by `;` or `&&`; anything else runs for ever. */
export function defaultProgram(config: ContainerConfig): Program {
  const words = [...config.command, ...config.args]
  const steps = words.length > 0 ? shellSteps(words) : []
  if (steps.length === 0) return { echoesStdin: true }
  const prints: string[] = []
  let afterMs = 0
  for (const [name, ...args] of steps) {
    if (name === 'not-there') return { startError: `exec: "${name}": executable file not found in $PATH` }
    if (name === 'echo') prints.push(args.join(' '))
    else if (name === 'sleep') afterMs += Number(args[0] ?? 0) * 1000
    else if (name === 'true') continue
    else if (name === 'false') return { prints, ends: { afterMs, exitCode: 1 } }
    else if (name === 'exit') return { prints, ends: { afterMs, exitCode: Number(args[0] ?? 0) } }
    else return { prints, echoesStdin: name === 'cat' }
  }
  return { prints, ends: { afterMs, exitCode: 0 } }
}

/** Exec'ed commands understand the same words, and `cat` without arguments gives stdin back. */
export function memoryExec(cmd: string[], ctx: ExecContext): ExecOutcome {
  let stdout = ''
  let stderr = ''
  let takesMs = 0
  const end = (exitCode: number): ExecOutcome => ({ exitCode, stdout, stderr, takesMs })
  for (const [name, ...args] of shellSteps(cmd)) {
    const toStderr = args.at(-1) === '>&2'
    if (name === 'echo') {
      const line = `${(toStderr ? args.slice(0, -1) : args).join(' ')}\n`
      if (toStderr) stderr += line
      else stdout += line
    } else if (name === 'printf') stdout += args.join(' ')
    else if (name === 'cat' && args.length === 0) stdout += (ctx.stdin ?? Buffer.alloc(0)).toString('utf8')
    else if (name === 'sleep') takesMs += Number(args[0] ?? 0) * 1000
    else if (name === 'env') stdout += ctx.config.env.map((e) => `${e.key}=${e.value}\n`).join('')
    else if (name === 'true') continue
    else if (name === 'false') return end(1)
    else if (name === 'exit') return end(Number(args[0] ?? 0))
    else {
      stderr += `${name}: not found\n`
      return end(127)
    }
  }
  return end(0)
}

function shellSteps(words: string[]): string[][] {
  const shell = /(^|\/)(ba)?sh$/.test(words[0] ?? '') && words[1] === '-c'
  const script = shell ? (words[2] ?? '').split(/;|&&|\n/) : [words.join('\0')]
  return script.map((s) => (shell ? s.trim().split(/\s+/).map((w) => w.replace(/^(['"])(.*)\1$/, '$2')) : s.split('\0'))).filter((s) => s[0] !== '')
}
