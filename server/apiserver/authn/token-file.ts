/** Static tokens (`--token-auth-file`): CSV of token, user name, uid and, in quotes, groups. Pure. */
import type { UserInfo } from '#api/types/index.ts'

/** `wrong` makes the error of a line that cannot be read. Later lines win, as upstream has it. */
export function parseTokenFile(text: string, wrong: (what: string) => Error): ReadonlyMap<string, UserInfo> {
  const tokens = new Map<string, UserInfo>()
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '') return
    const [token = '', name, uid, groups = ''] = columnsOf(line)
    if (name === undefined || uid === undefined) throw wrong(`line ${i + 1} must have at least 3 columns (token, user name, user uid)`)
    if (token === '') throw wrong(`line ${i + 1} has no token`)
    const list = groups.split(',').map((g) => g.trim()).filter((g) => g !== '')
    tokens.set(token, { name, ...(uid !== '' && { uid }), groups: [...new Set([...list, 'system:authenticated'])] })
  })
  return tokens
}

function columnsOf(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => (quoted === undefined ? (plain ?? '').trim() : quoted.replaceAll('""', '"')))
}
