/** Hidden verb: skiff as a CNI plugin, started by a container runtime for each pod. */
import { text } from 'node:stream/consumers'
import { runCniPlugin } from '#cni/index.ts'
import { clock } from './environment.ts'

export async function run(): Promise<number> {
  const { exitCode, stdout } = await runCniPlugin(process.env, await text(process.stdin), clock)
  process.stdout.write(stdout)
  return exitCode
}
