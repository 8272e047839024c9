/**
 * Runs a part of a measurement on a lab host: a program of `inside/`, started in the host's namespaces, so that the
 * load comes from a process of its own. Its answer is the last line of its output, as JSON.
 */
import { join } from 'node:path'
import type { LabHost } from '../lab/host.ts'

const TIMEOUT_MS = 240_000

export async function askInside<T>(host: LabHost, program: string, args: object): Promise<T> {
  const output = await host.must([process.execPath, join(import.meta.dirname, 'inside', `${program}.ts`), JSON.stringify(args)], { timeoutMs: TIMEOUT_MS })
  return JSON.parse(output.trimEnd().split('\n').at(-1) ?? '') as T
}
