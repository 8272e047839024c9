/** The `Warning: 299` header (RFC 7234 5.5), bounded as upstream bounds it. */
const WARNINGS_MAX = 50
const TEXT_BYTES_MAX = 4 * 1024

export function warningHeader(texts: readonly string[]): string {
  let bytes = 0
  const out: string[] = []
  for (const text of texts.slice(0, WARNINGS_MAX)) {
    const shown = `299 - "${printable(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
    bytes += shown.length
    if (bytes > TEXT_BYTES_MAX) break
    out.push(shown)
  }
  return out.join(', ')
}

/** Headers carry no control characters, and only Latin-1 safely. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?')
