/**
 * Entry of the binary: finds the verb, loads only what that verb needs, and turns errors into one line and an exit
 * code (0 ok, 1 failed while running, 2 wrong usage or config).
 */
import { asError, hasCode, UsageError } from '#base/errors.ts'

export interface Verb {
  summary: string
  /** Hidden verbs are how skiff starts itself as a short-lived child. */
  hidden?: boolean
  run: (argv: readonly string[]) => Promise<number>
}

const VERBS: Readonly<Record<string, Verb>> = {
  server: { summary: 'run a control plane, and pods on this machine', run: async (argv) => (await import('./cli/server.ts')).run(argv) },
  agent: { summary: 'run pods on this machine for a cluster', run: async (argv) => (await import('./cli/agent.ts')).run(argv) },
  version: { summary: 'print the version', run: async (argv) => (await import('./cli/version.ts')).run(argv) },
  'unpack-layer': { summary: '', hidden: true, run: async () => (await import('./cli/unpack-layer.ts')).run() },
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usage())
    return name === undefined ? 2 : 0
  }
  const verb = VERBS[name === '--version' ? 'version' : name]
  if (!verb) throw new UsageError(`unknown command ${JSON.stringify(name)}; skiff --help lists them`)
  return verb.run(rest)
}

function usage(): string {
  const shown = Object.entries(VERBS).filter(([, v]) => !v.hidden)
  return `skiff: Kubernetes for boards\n\nUsage: skiff COMMAND [flags]\n\nCommands:\n${shown.map(([n, v]) => `  ${n.padEnd(12)}${v.summary}`).join('\n')}\n\nskiff COMMAND --help tells more.\n`
}

main(process.argv.slice(2)).then(
  (code) => { process.exitCode = code },
  (error: unknown) => {
    process.stderr.write(`skiff: ${asError(error).message}\n`)
    process.exit(hasCode(error, 'USAGE') ? 2 : 1)
  },
)
