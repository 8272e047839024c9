/** Files of variables that an init container leaves for others (`env[].valueFrom.fileKeyRef`, KEP-3721): `NAME='value'`, as upstream's pkg/kubelet/util/env reads them. Pure. */
import { CodedError } from '#base/errors.ts'

const LINE_BYTES_MAX = 64 * 1024

/** The first value of `key`; '': it has none. Throws ENV_FILE for what is no such file as far as it was read. */
export function envFileValue(text: string, key: string): string {
  const lines = text.split('\n').map((line) => line.replace(/\r$/, ''))
  if (lines.at(-1) === '') lines.pop()
  const invalid = (at: number, what: string): CodedError => new CodedError('ENV_FILE', `invalid environment variable format at line ${at + 1}: ${what}`)
  for (let at = 0; at < lines.length; at++) {
    const line = lineAt(lines, at).replace(/^[ \t]+/, '')
    if (line === '' || line.startsWith('#')) continue
    const equals = line.indexOf('=')
    if (equals < 0) throw invalid(at, 'missing \'=\'')
    const name = line.slice(0, equals)
    if (/^[ \t]*$/.test(name)) throw invalid(at, 'empty variable name')
    if (/[ \t]$/.test(name)) throw invalid(at, 'whitespace before \'=\' is not allowed')
    let rest = line.slice(equals + 1)
    if (/^[ \t]/.test(rest)) {
      // As a shell has it: the variable is empty, and what follows is another's.
      if (name === key) return ''
      continue
    }
    if (!rest.startsWith('\'')) throw invalid(at, 'value must be enclosed in single quotes')
    const begun = at
    const parts: string[] = []
    for (rest = rest.slice(1); !rest.includes('\''); rest = lineAt(lines, at)) {
      parts.push(rest)
      if (++at >= lines.length) throw new CodedError('ENV_FILE', `invalid environment variable format starting at line ${begun + 1}: unclosed single quote`)
    }
    const closing = rest.indexOf('\'')
    parts.push(rest.slice(0, closing))
    const after = rest.slice(closing + 1).replace(/^[ \t]+/, '')
    if (after !== '' && !after.startsWith('#')) throw invalid(at, 'unexpected content after closing quote')
    if (name === key) return parts.join('\n')
  }
  return ''
}

function lineAt(lines: readonly string[], at: number): string {
  const line = lines[at] ?? ''
  if (line.length > LINE_BYTES_MAX) throw new CodedError('ENV_FILE', `line ${at + 1} is too long`)
  return line
}
