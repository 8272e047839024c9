/**
 * Entry of the binary: finds the verb, loads only what that verb needs, and turns errors into one line and an exit
 * code (0 ok, 1 failed while running, 2 wrong usage or config).
 */
import { asError, hasCode, UsageError } from '#base/errors.ts'
import { usageText, type VerbName } from './cli/verbs.ts'

type Run = (argv: readonly string[]) => Promise<number>

const VERBS: Readonly<Record<VerbName, Run>> = {
  server: async (argv) => (await import('./cli/server.ts')).run(argv),
  agent: async (argv) => (await import('./cli/agent.ts')).run(argv),
  kubectl: async (argv) => (await import('./cli/kubectl.ts')).run(argv),
  token: async (argv) => (await import('./cli/token.ts')).run(argv),
  check: async (argv) => (await import('./cli/check.ts')).run(argv),
  uninstall: async (argv) => (await import('./cli/uninstall.ts')).run(argv),
  completion: async (argv) => (await import('./cli/completion.ts')).run(argv),
  version: async (argv) => (await import('./cli/version.ts')).run(argv),
}

/** How skiff starts itself as a short-lived child. */
const HIDDEN_VERBS: Readonly<Record<string, Run>> = {
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

main(process.argv.slice(2)).then(
  (code) => { process.exitCode = code },
  (error: unknown) => {
    // One line, whatever a tool underneath said.
    process.stderr.write(`skiff: ${asError(error).message.trim().replaceAll(/\s*\n\s*/g, ' | ')}\n`)
    process.exit(hasCode(error, 'USAGE') ? 2 : 1)
  },
)
