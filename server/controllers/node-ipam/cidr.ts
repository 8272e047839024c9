/** CIDR arithmetic for both families, on BigInt. Pure. */

export interface Cidr { address: bigint; prefix: number; bits: 32 | 128 }

/** Undefined when it is no CIDR. Host bits are cleared. */
export function parseCidr(text: string): Cidr | undefined {
  const [ip = '', prefixText = '', ...more] = text.trim().split('/')
  const bits = ip.includes(':') ? 128 : 32
  const prefix = /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : -1
  if (more.length > 0 || prefix < 0 || prefix > bits) return undefined
  const address = bits === 32 ? parseV4(ip) : parseV6(ip)
  if (address === undefined) return undefined
  const host = BigInt(bits - prefix)
  return { address: (address >> host) << host, prefix, bits }
}

export function formatCidr({ address, prefix, bits }: Cidr): string {
  return `${bits === 32 ? formatV4(address) : formatV6(address)}/${prefix}`
}

/** How many blocks of `prefix` the range holds; more than 2^24 are not looked through. */
export function blockCount(range: Cidr, prefix: number): number {
  return 2 ** Math.min(24, Math.max(0, prefix - range.prefix))
}

export function blockAt(range: Cidr, prefix: number, index: number): Cidr {
  return { address: range.address + (BigInt(index) << BigInt(range.bits - prefix)), prefix, bits: range.bits }
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.bits !== b.bits) return false
  const host = BigInt(a.bits - Math.min(a.prefix, b.prefix))
  return a.address >> host === b.address >> host
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((p) => /^\d{1,3}$/.test(p) && Number(p) <= 255)) return undefined
  return parts.reduce((n, p) => (n << 8n) | BigInt(p), 0n)
}

function parseV6(text: string): bigint | undefined {
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return undefined
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = 8 - left.length - right.length
  if (tail === undefined ? zeros !== 0 : zeros < 1) return undefined
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right]
  return groups.every((g) => /^[0-9a-f]{1,4}$/i.test(g)) ? groups.reduce((n, g) => (n << 16n) | BigInt(`0x${g}`), 0n) : undefined
}

function formatV4(address: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => String((address >> shift) & 255n)).join('.')
}

/** RFC 5952: the longest run of zeros becomes `::`. */
function formatV6(address: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((address >> BigInt(112 - 16 * i)) & 0xffffn).toString(16))
  const runs = [...groups.join(':').matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].replace(/^:/, '').length - a[0].replace(/^:/, '').length)
  const text = groups.join(':')
  const run = runs[0]
  if (!run) return text
  return `${text.slice(0, run.index)}::${text.slice(run.index + run[0].length).replace(/^:/, '')}`
}
