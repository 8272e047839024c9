/** What an Accept header asks for. Pure. */

export interface MediaType { type: string; params: Readonly<Record<string, string>>; quality: number }

/** More entries than this in one Accept header are not looked at. */
const ACCEPT_ENTRIES_MAX = 32

export function parseAccept(header: string | undefined): MediaType[] {
  if (header === undefined || header === '') return [{ type: '*/*', params: {}, quality: 1 }]
  const types = header.split(',', ACCEPT_ENTRIES_MAX).map(parseMediaType)
  return types.filter((t) => t.quality > 0).sort((a, b) => b.quality - a.quality)
}

export function parseMediaType(text: string): MediaType {
  const [type = '', ...rest] = text.split(';')
  const params: Record<string, string> = {}
  for (const part of rest) {
    const at = part.indexOf('=')
    if (at > 0) params[part.slice(0, at).trim().toLowerCase()] = part.slice(at + 1).trim().replace(/^"(.*)"$/, '$1')
  }
  const q = params['q'] === undefined ? 1 : Number(params['q'])
  return { type: type.trim().toLowerCase(), params, quality: Number.isFinite(q) ? q : 0 }
}
