/** `skiff completion bash|zsh|fish`: scripts made from the same data as the help. */
import { UsageError } from '#base/errors.ts'
import { asksForHelp, helpOf, VERB_SPECS, type VerbSpec } from './verbs.ts'

const VERBS: readonly (readonly [string, VerbSpec])[] = Object.entries(VERB_SPECS)

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('completion'))
    return 0
  }
  const script = SCRIPTS[argv[0] ?? '']
  if (!script || argv.length > 1) throw new UsageError('skiff completion needs the name of a shell: bash, zsh or fish')
  process.stdout.write(script())
  return 0
}

const SCRIPTS: Readonly<Record<string, () => string>> = { bash, zsh, fish }

/** All that may follow `skiff VERB`. */
const following = ([, spec]: readonly [string, VerbSpec]): string[] => [...Object.keys(spec.words ?? {}), ...spec.flags.map((f) => `--${f.name}`), '--help']

function bash(): string {
  const cases = VERBS.filter(([name]) => name !== 'kubectl').map((v) => `    ${v[0]}) words='${following(v).join(' ')}' ;;`)
  const files = VERBS.flatMap(([, s]) => s.flags).filter((f) => f.value === 'FILE' || f.value === 'PATH' || f.value === 'DIR').map((f) => `--${f.name}`)
  return `# bash completion for skiff: source <(skiff completion bash)
_skiff() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then COMPREPLY=($(compgen -W '${VERBS.map(([n]) => n).join(' ')} help' -- "$cur")); return; fi
  case "$prev" in
    ${[...new Set(files)].join('|')}) COMPREPLY=($(compgen -f -- "$cur")); return ;;
  esac
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) return ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _skiff skiff
`
}

function zsh(): string {
  const quote = (text: string) => text.replaceAll('\'', '\'\\\'\'').replaceAll(':', '\\:')
  const verbs = VERBS.map(([name, s]) => `    '${name}:${quote(s.summary)}'`)
  const cases = VERBS.filter(([name]) => name !== 'kubectl').map(([name, s]) => {
    const lines = [...Object.entries(s.words ?? {}).map(([w, what]) => `'${w}:${quote(what)}'`), ...s.flags.map((f) => `'--${f.name}:${quote(f.help)}'`), '\'--help:tell more\'']
    return `    ${name}) words_of=(${lines.join(' ')}); _describe 'skiff ${name}' words_of ;;`
  })
  return `#compdef skiff
# zsh completion for skiff: source <(skiff completion zsh)
_skiff() {
  local -a verbs words_of
  verbs=(
${verbs.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe 'command' verbs; return; fi
  case "\${words[2]}" in
${cases.join('\n')}
    *) _files ;;
  esac
}
compdef _skiff skiff
`
}

function fish(): string {
  const quote = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\'', '\\\'')
  const lines = VERBS.flatMap(([name, s]) => [
    `complete -c skiff -n __fish_use_subcommand -f -a ${name} -d '${quote(s.summary)}'`,
    ...Object.entries(s.words ?? {}).map(([w, what]) => `complete -c skiff -n '__fish_seen_subcommand_from ${name}' -f -a ${w} -d '${quote(what)}'`),
    ...s.flags.map((f) => `complete -c skiff -n '__fish_seen_subcommand_from ${name}' -l ${f.name}${f.kind === 'boolean' ? '' : ' -r'} -d '${quote(f.help)}'`),
  ])
  return `# fish completion for skiff: skiff completion fish | source\n${lines.join('\n')}\n`
}
