/** `skiff kubectl …`: becomes an installed kubectl, with the kubeconfig of this machine where none was chosen. */
import { accessSync, constants } from 'node:fs'
import { CodedError, asError } from '#base/errors.ts'
import { kubeconfigPath } from './admin-client.ts'
import { findProgram, SYSTEM_PATH } from './find-program.ts'
import { helpOf } from './verbs.ts'

export async function run(argv: readonly string[]): Promise<number> {
  if (argv.length === 1 && (argv[0] === '--help' || argv[0] === '-h')) {
    process.stdout.write(`${helpOf('kubectl')}\nAll arguments are kubectl's: skiff kubectl help tells them. The kubeconfig is that of --kubeconfig or $KUBECONFIG,\nelse the one skiff server wrote on this machine (${kubeconfigPath()}).\n`)
    return 0
  }
  const program = findProgram('kubectl', `${process.env['PATH'] ?? ''}:${SYSTEM_PATH}`)
  if (program === undefined) throw new CodedError('KUBECTL_MISSING', 'kubectl is not installed on this machine: apt-get install kubernetes-client, or see https://kubernetes.io/docs/tasks/tools/')
  const isChosen = (process.env['KUBECONFIG'] ?? '') !== '' || argv.some((a) => a === '--kubeconfig' || a.startsWith('--kubeconfig='))
  if (!isChosen) {
    const path = kubeconfigPath()
    assertReadable(path)
    process.env['KUBECONFIG'] = path
  }
  // Replaces this process: signals, terminal and exit code are kubectl's own.
  if (!process.execve) throw new CodedError('EXEC_UNAVAILABLE', 'this platform cannot exec: run kubectl itself')
  return process.execve(program, ['kubectl', ...argv], definedOnly(process.env))
}

function assertReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK)
  } catch (error) {
    throw new CodedError('KUBECONFIG_UNREADABLE', `the kubeconfig ${path} cannot be read (${asError(error).message.split(',')[0] ?? ''}): run this as root where skiff server runs, or set KUBECONFIG`, { cause: error })
  }
}

function definedOnly(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((e): e is [string, string] => e[1] !== undefined))
}
