/** IP addresses as text, read as Go's net/netip reads them: what is wrong is told in its words. */

export type ParsedIp = { ok: true; bits: bigint; width: 32 | 128; zone: string } | { ok: false; message: string; /** The rest of the text from where it went wrong; '' for no place. */ at: string }

const wrong = (message: string, at = ''): ParsedIp => ({ ok: false, message, at })

export function parseIpText(text: string): ParsedIp {
  switch (/[.:%]/.exec(text)?.[0]) {
    case '.': {
      const bits = parseFields(text)
      return typeof bits === 'bigint' ? { ok: true, bits, width: 32, zone: '' } : bits
    }
    case ':': return parse6(text)
    case '%': return wrong('missing IPv6 address')
    default: return wrong('unable to parse IP')
  }
}

function parseFields(text: string): bigint | ParsedIp {
  let bits = 0n
  let value = 0
  let digits = 0
  let fields = 0
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string
    if (c >= '0' && c <= '9') {
      if (digits === 1 && value === 0) return wrong('IPv4 field has octet with leading zero')
      value = value * 10 + Number(c)
      digits++
      if (value > 255) return wrong('IPv4 field has value >255')
    } else if (c === '.') {
      if (digits === 0 || i === text.length - 1) return wrong('IPv4 field must have at least one digit', text.slice(i))
      if (fields === 3) return wrong('IPv4 address too long')
      bits = (bits << 8n) | BigInt(value)
      fields++
      value = 0
      digits = 0
    } else return wrong('unexpected character', text.slice(i))
  }
  return fields < 3 ? wrong('IPv4 address too short') : (bits << 8n) | BigInt(value)
}

function parse6(text: string): ParsedIp {
  const percent = text.indexOf('%')
  const zone = percent < 0 ? '' : text.slice(percent + 1)
  if (percent >= 0 && zone === '') return wrong('zone must be a non-empty string')
  let rest = percent < 0 ? text : text.slice(0, percent)
  const groups: bigint[] = []
  let ellipsis = -1
  if (rest.startsWith('::')) {
    ellipsis = 0
    rest = rest.slice(2)
  }
  while (groups.length < 8 && rest !== '') {
    const digits = /^[0-9a-fA-F]*/.exec(rest)?.[0] ?? ''
    if (digits.length > 4) return wrong('each group must have 4 or less digits', rest)
    if (digits === '') return wrong('each colon-separated field must have at least one digit', rest)
    if (rest[digits.length] === '.') {
      if (ellipsis < 0 && groups.length !== 6) return wrong('embedded IPv4 address must replace the final 2 fields of the address', rest)
      if (groups.length > 6) return wrong('too many hex fields to fit an embedded IPv4 at the end of the address', rest)
      const bits = parseFields(rest)
      if (typeof bits !== 'bigint') return bits
      groups.push(bits >> 16n, bits & 0xffffn)
      rest = ''
      break
    }
    groups.push(BigInt(`0x${digits}`))
    rest = rest.slice(digits.length)
    if (rest === '') break
    if (rest[0] !== ':') return wrong('unexpected character, want colon', rest)
    if (rest.length === 1) return wrong('colon must be followed by more characters', rest)
    rest = rest.slice(1)
    if (rest[0] !== ':') continue
    if (ellipsis >= 0) return wrong('multiple :: in address', rest)
    ellipsis = groups.length
    rest = rest.slice(1)
  }
  if (rest !== '') return wrong('trailing garbage after address', rest)
  if (groups.length === 8 && ellipsis >= 0) return wrong('the :: must expand to at least one field of zeros')
  if (groups.length < 8 && ellipsis < 0) return wrong('address string too short')
  const zeros = Array.from({ length: 8 - groups.length }, () => 0n)
  const all = ellipsis < 0 ? groups : [...groups.slice(0, ellipsis), ...zeros, ...groups.slice(ellipsis)]
  return { ok: true, bits: all.reduce((bits, group) => (bits << 16n) | group, 0n), width: 128, zone }
}
