/** Hidden verb: the short-lived child that unpacks one image layer, so that the agent's heap never sees it. */
import { runUnpackChild } from '#cri/index.ts'

export async function run(): Promise<number> {
  await runUnpackChild()
  return typeof process.exitCode === 'number' ? process.exitCode : 0
}
