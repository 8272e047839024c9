/** Every verb as data: its line in `skiff --help`, its flags, its second words. Help and shell completion follow from this. */
import { CHECK_FLAGS, IMAGES_FLAGS, MEMBERS_FLAGS, SECRETS_ENCRYPT_FLAGS, SERVER_FLAGS, AGENT_FLAGS, SNAPSHOT_FLAGS, TOKEN_FLAGS, UNINSTALL_FLAGS, VERSION_FLAGS } from './verb-flags.ts'
import type { Flag } from './flags.ts'

export interface VerbSpec {
  summary: string
  flags: readonly Flag[]
  /** Second words and what they do: `skiff token create`. */
  words?: Readonly<Record<string, string>>
  /** After `skiff VERB` in the help. Default `[flags]`. */
  usage?: string
}

export type VerbName = keyof typeof VERB_SPECS

const spec = (value: VerbSpec): VerbSpec => value

export const VERB_SPECS = {
  server: spec({ summary: 'run a control plane, and pods on this machine', flags: SERVER_FLAGS }),
  agent: spec({ summary: 'run pods on this machine for a cluster', flags: AGENT_FLAGS }),
  kubectl: spec({ summary: 'run kubectl with this machine\'s kubeconfig', flags: [], usage: 'ARGUMENTS...' }),
  token: spec({
    summary: 'make, list and delete tokens that let machines join', flags: TOKEN_FLAGS, usage: 'create | list | delete ID... [flags]',
    words: { create: 'make a token and print it', list: 'list tokens, without their secrets', delete: 'delete tokens: nobody can join with them any more' },
  }),
  members: spec({
    summary: 'tell and change which servers the cluster has', flags: MEMBERS_FLAGS, usage: 'list | remove NAME [flags]',
    words: { list: 'list the servers of the cluster', remove: 'take a server out of the cluster; it stops, and joins again only as a new one' },
  }),
  'secrets-encrypt': spec({
    summary: 'tell and change how Secrets are encrypted at rest', flags: SECRETS_ENCRYPT_FLAGS, usage: 'status | rotate-keys | reencrypt [flags]',
    words: { status: 'tell whether Secrets are encrypted, and with which key', 'rotate-keys': 'make a new key, encrypt all Secrets with it, forget the old ones', reencrypt: 'write all Secrets anew with the key in use' },
  }),
  images: spec({
    summary: 'list, pull, import, export and remove the images of this machine', flags: IMAGES_FLAGS, usage: 'ls | pull NAME... | import PATH... | export NAME|ID... | rm NAME|ID... [flags]',
    words: { ls: 'list images', pull: 'pull images, so that they are here before a pod asks', import: 'import archives (docker save, OCI layouts in tar)', export: 'write images into one archive that is both', rm: 'remove images; what containers run on stays until they are gone' },
  }),
  snapshot: spec({
    summary: 'save the cluster\'s state, and restore it', flags: SNAPSHOT_FLAGS, usage: 'save | list | restore NAME|PATH | delete NAME... | prune [flags]',
    words: { save: 'take a snapshot of the running server', list: 'list snapshots', restore: 'make a snapshot the state of this machine\'s stopped server', delete: 'delete snapshots', prune: 'delete all of one --name but the newest --snapshot-retention' },
  }),
  check: spec({ summary: 'tell what this machine lacks to run pods', flags: CHECK_FLAGS }),
  uninstall: spec({ summary: 'stop skiff and remove all it made on this machine', flags: UNINSTALL_FLAGS, usage: '--yes [flags]' }),
  completion: spec({ summary: 'print a completion script for a shell', flags: [], usage: 'bash | zsh | fish', words: { bash: 'source <(skiff completion bash)', zsh: 'source <(skiff completion zsh)', fish: 'skiff completion fish | source' } }),
  version: spec({ summary: 'print the version', flags: VERSION_FLAGS }),
}

export function helpOf(verb: VerbName): string {
  const { summary, flags, words, usage } = VERB_SPECS[verb]
  const left = flags.map((f) => `  --${f.name}${f.kind === 'boolean' ? '' : ` ${f.value ?? f.kind.toUpperCase()}`}`)
  const width = Math.max(0, ...left.map((l) => l.length)) + 2
  const lines = flags.map((f, i) => `${(left[i] ?? '').padEnd(width)}${f.help}${f.default === undefined || f.default === '' || f.default === false ? '' : ` (default ${String(f.default)})`}`)
  const sections = [
    `skiff ${verb}: ${summary}`,
    `Usage: skiff ${verb} ${usage ?? '[flags]'}`,
    ...(words ? [Object.entries(words).map(([word, what]) => `  ${word.padEnd(13)}${what}`).join('\n')] : []),
    ...(lines.length > 0 ? [`Flags:\n${lines.join('\n')}`] : []),
  ]
  return `${sections.join('\n\n')}\n`
}

export function usageText(): string {
  const lines = Object.entries(VERB_SPECS).map(([name, v]) => `  ${name.padEnd(17)}${v.summary}`)
  return `skiff: Kubernetes for boards\n\nUsage: skiff COMMAND [flags]\n\nCommands:\n${lines.join('\n')}\n\nskiff COMMAND --help tells more.\n`
}

/** Only as a flag of its own: what follows `--` belongs to somebody else. */
export function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return (end < 0 ? argv : argv.slice(0, end)).some((a) => a === '--help' || a === '-h')
}
