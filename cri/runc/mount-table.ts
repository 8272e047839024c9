/** /proc/self/mountinfo, read: what is mounted where, and whether it propagates. */
import { readFileSync } from 'node:fs'

export interface MountEntry { path: string; fsType: string; source: string; options: string[]; /** Field 7: `shared:1`, `master:2`. */ propagation: string[] }

export function readMountTable(): MountEntry[] {
  return parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'))
}

export function parseMountTable(text: string): MountEntry[] {
  return text.split('\n').filter(Boolean).map((line) => {
    const fields = line.split(' ')
    const dash = fields.indexOf('-')
    return {
      path: unescape(fields[4] ?? ''), fsType: fields[dash + 1] ?? '', source: unescape(fields[dash + 2] ?? ''),
      options: [...(fields[5] ?? '').split(','), ...(fields[dash + 3] ?? '').split(',')], propagation: fields.slice(6, dash),
    }
  })
}

/** The mount a path lies on: the longest that covers it; of equals the last, which is on top. */
export function mountOf(path: string, table: readonly MountEntry[]): MountEntry | undefined {
  let best: MountEntry | undefined
  for (const entry of table) {
    const covers = entry.path === '/' || path === entry.path || path.startsWith(`${entry.path}/`)
    if (covers && (!best || entry.path.length >= best.path.length)) best = entry
  }
  return best
}

/** What is mounted at or below `directory`, deepest and topmost first: the order to unmount in. */
export function mountsBelow(directory: string, table: readonly MountEntry[]): MountEntry[] {
  return table.filter(({ path }) => path === directory || path.startsWith(`${directory}/`)).reverse()
}

function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
}
