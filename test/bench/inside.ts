/**
 * Runs a part of a measurement on a lab host: a program of `inside/`, started in the host's namespaces, so that the
 * load comes from a process of its own. Its answer is the last line of its output, as JSON.
 */
import { join } from 'node:path'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { LabHost } from '../lab/host.ts'
import type { Lab } from '../lab/lab.ts'

const TIMEOUT_MS = 240_000

export async function askInside<T>(host: LabHost, program: string, args: object): Promise<T> {
  return lastLine<T>(await host.must(insideCommand(program, args), { timeoutMs: TIMEOUT_MS }))
}

/** On no host: the load reaches all of them alike. */
export async function askOnSwitch<T>(lab: Lab, program: string, args: object): Promise<T> {
  const [file = '', ...rest] = lab.wrapOnSwitch(insideCommand(program, args))
  const { stdout } = await promisify(execFile)(file, rest, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 24 })
  return lastLine<T>(stdout)
}

export function insideCommand(program: string, args: object): string[] {
  return [process.execPath, join(import.meta.dirname, 'inside', `${program}.ts`), JSON.stringify(args)]
}

function lastLine<T>(output: string): T {
  return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as T
}
