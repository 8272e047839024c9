/**
 * Headers whose every repetition is a value of its own, commas and all: those that impersonate (a group may be called
 * `a,b`). They are joined with line feeds, which no header can hold.
 */

export const isSeparate = (name: string): boolean => name.startsWith('impersonate-')

/** `raw`: names and values in turn, as Node has them. Changes those headers of `headers` that are such. */
export function separateValues(headers: Record<string, string | string[] | undefined>, raw: readonly string[]): void {
  const values = new Map<string, string[]>()
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase()
    if (isSeparate(name)) values.set(name, [...(values.get(name) ?? []), raw[i + 1] ?? ''])
  }
  for (const [name, list] of values) headers[name] = list.join('\n')
}

/** The values of such a header. */
export const valuesOf = (header: string | undefined): string[] => (header === undefined || header === '' ? [] : header.split('\n'))
