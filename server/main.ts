/**
 * Entry of the binary: finds the verb, loads only what that verb needs, and turns errors into one line and an exit
 * code (0 ok, 1 failed while running, 2 wrong usage or config).
 */
import { asError, UsageError } from '#base/errors.ts'
import { exitCodeOf, exitLine } from './cli/exit-line.ts'
import { usageText, type VerbName } from './cli/verbs.ts'

type Run = (argv: readonly string[]) => Promise<number>

const VERBS: Readonly<Record<VerbName, Run>> = {
  server: async (argv) => (await import('./cli/server.ts')).run(argv),
  agent: async (argv) => (await import('./cli/agent.ts')).run(argv),
  kubectl: async (argv) => (await import('./cli/kubectl.ts')).run(argv),
  token: async (argv) => (await import('./cli/token.ts')).run(argv),
  members: async (argv) => (await import('./cli/members.ts')).run(argv),
  'secrets-encrypt': async (argv) => (await import('./cli/secrets-encrypt.ts')).run(argv),
  images: async (argv) => (await import('./cli/images.ts')).run(argv),
  snapshot: async (argv) => (await import('./cli/snapshot.ts')).run(argv),
  check: async (argv) => (await import('./cli/check.ts')).run(argv),
  uninstall: async (argv) => (await import('./cli/uninstall.ts')).run(argv),
  completion: async (argv) => (await import('./cli/completion.ts')).run(argv),
  version: async (argv) => (await import('./cli/version.ts')).run(argv),
}

/** Run until they are told to stop. */
const RUNNING_VERBS: readonly string[] = ['server', 'agent'] satisfies VerbName[]

/** How skiff starts itself as a short-lived child, or is started by a container runtime. */
const HIDDEN_VERBS: Readonly<Record<string, Run>> = {
  cni: async () => (await import('./cli/cni.ts')).run(),
  'unpack-layer': async () => (await import('./cli/unpack-layer.ts')).run(),
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usageText())
    return name === undefined ? 2 : 0
  }
  const verb = (VERBS as Readonly<Record<string, Run>>)[name === '--version' ? 'version' : name] ?? HIDDEN_VERBS[name]
  if (!verb) throw new UsageError(`unknown command ${JSON.stringify(name)}; skiff --help lists them`)
  return verb(rest)
}

const state = { isSettled: false }
process.once('beforeExit', () => {
  if (state.isSettled) return
  // Everything waited for something that can no longer happen: without this it would look like success.
  process.stderr.write('skiff: bug: ended before its work was done\n')
  process.exitCode = 1
})

main(process.argv.slice(2)).finally(() => { state.isSettled = true }).then(
  (code) => {
    process.exitCode = code
    // All is closed by now: whatever still holds a timer or a child holds nothing that matters.
    if (RUNNING_VERBS.includes(process.argv[2] ?? '')) process.exit()
  },
  (error: unknown) => {
    process.stderr.write(`${exitLine(asError(error), { argv: process.argv.slice(2), env: process.env, nowMs: Date.now() })}\n`)
    process.exit(exitCodeOf(error))
  },
)
