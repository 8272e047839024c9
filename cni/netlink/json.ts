/** What `ip -j` and `nft -j` print, read without trust in its shape. */

/** `ip -j` prints nothing at all, or `[{}]`, for an empty list. */
export function parseList(json: string): Record<string, unknown>[] {
  const body = json.trim()
  if (body === '') return []
  const list = JSON.parse(body) as Record<string, unknown>[]
  return list.filter((item) => Object.keys(item).length > 0)
}

/** A string or number as text; '' for anything else. */
export function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}
