/** Sets of completion indexes as Jobs' status writes them: `0-3,7`. Pure. */

/** Beyond this a text is not a list of a Job's indexes (upstream's bound of completions). */
const INDEX_MAX = 100_000

export function parseIndexes(text: string | undefined, completions = INDEX_MAX): Set<number> {
  const out = new Set<number>()
  for (const part of (text ?? '').split(',').filter((p) => p !== '')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part)
    if (!match) continue
    for (let at = Number(match[1]); at <= Math.min(Number(match[2] ?? match[1]), completions - 1); at++) out.add(at)
  }
  return out
}

export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...indexes].toSorted((a, b) => a - b)
  const parts: string[] = []
  for (let at = 0; at < sorted.length;) {
    let end = at
    while (sorted[end + 1] === (sorted[end] ?? 0) + 1) end++
    const [first, last] = [sorted[at] ?? 0, sorted[end] ?? 0]
    parts.push(first === last ? String(first) : last === first + 1 ? `${first},${last}` : `${first}-${last}`)
    at = end + 1
  }
  return parts.join(',')
}
