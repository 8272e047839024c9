/**
 * Takes metadata.managedFields out of the text of a watch event before it is parsed: they are half of many an object, take
 * longest of all to parse, and no informer keeps them. Pure.
 */

/** What is not written the way API servers write, without spaces, stays as it is. */
export function cutManagedFields(event: string): string {
  const at = event.indexOf(KEY)
  if (at < 0 || !isInMetadata(event, at)) return event
  const end = listEnd(event, at + KEY.length - 1)
  if (event[end] === ',') return event.slice(0, at) + event.slice(end + 1)
  return event.slice(0, event[at - 1] === ',' ? at - 1 : at) + event.slice(end)
}

const KEY = '"managedFields":['
const AROUND = ['object', 'metadata']

/** Whether the key that begins at `at` is one of the event's object's metadata. */
function isInMetadata(event: string, at: number): boolean {
  const opened: number[] = []
  let i = 0
  for (; i < at; i++) {
    const c = event.charCodeAt(i)
    if (c === QUOTE) i = stringEnd(event, i)
    else if (c === OBJECT || c === LIST) opened.push(i)
    else if (c === OBJECT_END || c === LIST_END) opened.pop()
  }
  // Beyond it: it was part of a longer one.
  if (i !== at) return false
  return opened.length === 1 + AROUND.length && AROUND.every((key, k) => event.endsWith(`,"${key}":`, opened[k + 1]) || event.endsWith(`{"${key}":`, opened[k + 1]))
}

/** After the bracket that closes the one at `at`. */
function listEnd(text: string, at: number): number {
  let depth = 0
  for (let i = at; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === QUOTE) i = stringEnd(text, i)
    else if (c === OBJECT || c === LIST) depth++
    else if ((c === OBJECT_END || c === LIST_END) && --depth === 0) return i + 1
  }
  return text.length
}

/** The closing quote of the string that opens at `at`. */
function stringEnd(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
  }
  return text.length
}

const [QUOTE, OBJECT, OBJECT_END, LIST, LIST_END, BACKSLASH] = [0x22, 0x7b, 0x7d, 0x5b, 0x5d, 0x5c]
