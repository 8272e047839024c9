/** One transaction: all of it or nothing. */
import { mustRun, type Exec } from '../netlink/exec.ts'

export async function applyNft(exec: Exec, commands: readonly string[]): Promise<void> {
  if (commands.length > 0) await mustRun(exec, ['nft', '-f', '-'], { input: `${commands.join('\n')}\n` })
}

/** Succeeds when there is no such table. */
export async function deleteTable(exec: Exec, name: string): Promise<void> {
  // `add` first: deleting what is not there would be an error.
  await applyNft(exec, [`add table ip ${name}`, `delete table ip ${name}`])
}
