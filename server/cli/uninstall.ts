/**
 * `skiff uninstall`: stops skiff and removes everything it made on this machine, in the order in which nothing comes
 * back: processes, pods, cgroups, mounts, network, files. Each step succeeds when there is nothing left to do, and one
 * that fails does not keep the others from being done.
 */
import { asError, CodedError, UsageError } from '#base/errors.ts'
import { readOwnFlags } from './config-file.ts'
import { parseFlags } from './flags.ts'
import { text } from './node-config.ts'
import { rootDirOf } from './root-dir.ts'
import { removeFiles } from './uninstall/files.ts'
import { assertOurs } from './uninstall/ownership.ts'
import { removeNetwork } from './uninstall/network.ts'
import { removePods } from './uninstall/pods.ts'
import { findRunning, stopRunning } from './uninstall/processes.ts'
import { removeUnit } from './uninstall/unit.ts'
import type { Removal } from './uninstall/removal.ts'
import { UNINSTALL_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

const STEPS: readonly { what: string; remove: (removal: Removal) => Promise<void> }[] = [
  { what: 'the systemd unit', remove: removeUnit },
  { what: 'running skiff', remove: stopRunning },
  { what: 'pods', remove: removePods },
  { what: 'the network', remove: removeNetwork },
  { what: 'files', remove: removeFiles },
]

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('uninstall'))
    return 0
  }
  const { values, positionals } = parseFlags('uninstall', UNINSTALL_FLAGS, { argv, env: process.env, readConfig: readOwnFlags(UNINSTALL_FLAGS) })
  if (positionals.length > 0) throw new UsageError(`skiff uninstall takes no argument ${JSON.stringify(positionals[0])}`)
  const removal: Removal = {
    dataDir: text(values, 'data-dir') ?? '/var/lib/skiff', rootDir: rootDirOf(values), stateDir: text(values, 'state-dir') ?? '/run/skiff', cgroupRoot: text(values, 'cgroup-root') ?? '',
    kubeconfig: text(values, 'write-kubeconfig') ?? '/etc/skiff/skiff.yaml', say: (line) => process.stdout.write(`${line}\n`),
  }
  assertOurs(removal)
  if (values['yes'] !== true) {
    const running = findRunning(removal).map((p) => `stop ${p.command} (process ${p.pid})`)
    process.stdout.write(`${[...running, `remove all pods of ${removal.dataDir}, with their containers, mounts and cgroups`, 'remove the pod network: skiff0, skiff.1 and the nftables tables skiff-cni and skiff-proxy', `remove ${removal.dataDir} (with the cluster's data), ${removal.stateDir} and ${removal.kubeconfig}`].join('\n')}\n`)
    throw new UsageError('this cannot be undone: skiff uninstall --yes does it')
  }
  if (process.getuid?.() !== 0) throw new CodedError('NOT_ROOT', 'only root can remove what skiff made: run skiff uninstall as root')
  const failures: string[] = []
  // Watches of container exits do not keep a process alive by themselves; in an agent other things do.
  const alive = setInterval(() => undefined, 60_000)
  for (const { what, remove } of STEPS) {
    // What is under a pod that still runs is in use: files only go when all before them went.
    if (failures.length > 0 && what === 'files') break
    await remove(removal).catch((error: unknown) => { failures.push(`${what}: ${asError(error).message}`) })
  }
  clearInterval(alive)
  if (failures.length > 0) throw new CodedError('UNINSTALL_INCOMPLETE', `not all could be removed (${failures.join('; ')}): mend that and run skiff uninstall again`)
  removal.say(`nothing of skiff is left but the program itself: ${process.execPath}`)
  return 0
}
