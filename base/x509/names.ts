/** Distinguished names and subject alternative names, as far as Kubernetes uses them. */
import { isIPv4, isIPv6 } from 'node:net'
import { TAG, childrenOf, contextPrimitive, expectTag, malformed, oid, readOid, sequence, set, utf8, type DerValue } from './der.ts'

export interface Subject {
  /** '' when there is none. */
  commonName: string
  organizations: readonly string[]
}

export interface AltNames {
  dnsNames: readonly string[]
  /** Textual: `10.0.0.1`, `fd00::1`. */
  ipAddresses: readonly string[]
  emails: readonly string[]
  uris: readonly string[]
}

export const NO_ALT_NAMES: AltNames = { dnsNames: [], ipAddresses: [], emails: [], uris: [] }

const COMMON_NAME = '2.5.4.3'
const ORGANIZATION = '2.5.4.10'

/** Organizations first, then the common name, each in an RDN of its own, as openssl prints and kubeadm writes them. */
export function encodeSubject(subject: Subject): Buffer {
  const rdn = (type: string, value: string) => set(sequence(oid(type), utf8(value)))
  return sequence(...subject.organizations.map((o) => rdn(ORGANIZATION, o)), ...(subject.commonName === '' ? [] : [rdn(COMMON_NAME, subject.commonName)]))
}

/** Also reads several values in one RDN, which is how Go writes several organizations. */
export function decodeSubject(name: DerValue): Subject {
  let commonName = ''
  const organizations: string[] = []
  for (const rdn of childrenOf(expectTag(name, TAG.sequence, 'name'))) {
    for (const attribute of childrenOf(expectTag(rdn, TAG.set, 'relative distinguished name'))) {
      const [type, value] = childrenOf(expectTag(attribute, TAG.sequence, 'name attribute'))
      const id = readOid(expectTag(type, TAG.oid, 'attribute type'))
      if (!value) throw malformed('name attribute has no value')
      if (id === COMMON_NAME) commonName = readText(value)
      if (id === ORGANIZATION) organizations.push(readText(value))
    }
  }
  return { commonName, organizations }
}

function readText(value: DerValue): string {
  switch (value.tag) {
    case TAG.utf8String: return decodeUtf8(value.value)
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.teletexString: return value.value.toString('latin1')
    case TAG.bmpString: {
      if (value.value.length % 2 !== 0) throw malformed('BMPString of odd length')
      return Buffer.from(value.value).swap16().toString('utf16le')
    }
    default: throw malformed(`name has a string of tag 0x${value.tag.toString(16)}`)
  }
}

function decodeUtf8(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(bytes)) throw malformed('name is not valid UTF-8')
  return text
}

const GENERAL_NAME = { email: 1, dns: 2, uri: 6, ip: 7 } as const

export function encodeAltNames(names: AltNames): Buffer {
  const ascii = (n: number) => (text: string) => contextPrimitive(n, Buffer.from(text, 'latin1'))
  return sequence(
    ...names.dnsNames.map(ascii(GENERAL_NAME.dns)),
    ...names.emails.map(ascii(GENERAL_NAME.email)),
    ...names.uris.map(ascii(GENERAL_NAME.uri)),
    ...names.ipAddresses.map((ip) => contextPrimitive(GENERAL_NAME.ip, ipBytes(ip))),
  )
}

/** Kinds of names that Kubernetes has no use for (directory names, registered ids) are left out. */
export function decodeAltNames(value: DerValue): AltNames {
  const names = { dnsNames: [] as string[], ipAddresses: [] as string[], emails: [] as string[], uris: [] as string[] }
  for (const name of childrenOf(expectTag(value, TAG.sequence, 'subject alternative names'))) {
    const text = name.value.toString('latin1')
    if (name.tag === (0x80 | GENERAL_NAME.dns)) names.dnsNames.push(text)
    else if (name.tag === (0x80 | GENERAL_NAME.email)) names.emails.push(text)
    else if (name.tag === (0x80 | GENERAL_NAME.uri)) names.uris.push(text)
    else if (name.tag === (0x80 | GENERAL_NAME.ip)) names.ipAddresses.push(ipText(name.value))
  }
  return names
}

export function isEmptyAltNames(names: AltNames): boolean {
  return names.dnsNames.length + names.ipAddresses.length + names.emails.length + names.uris.length === 0
}

/** 4 or 16 bytes. Throws X509_MALFORMED for anything that is not an address. */
export function ipBytes(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number))
  if (!isIPv6(text) || text.includes('%')) throw malformed(`${JSON.stringify(text)} is not an IP address`)
  // An embedded IPv4 tail counts for two groups.
  const tail = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  const plain = tail ? `${tail[1]}${(Number(tail[2]) * 256 + Number(tail[3])).toString(16)}:${(Number(tail[4]) * 256 + Number(tail[5])).toString(16)}` : text
  const [head = '', rest] = plain.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((g) => Number.parseInt(g, 16)))
  const left = groups(head)
  const right = rest === undefined ? [] : groups(rest)
  const all = rest === undefined ? left : [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right]
  return Buffer.from(all.flatMap((g) => [g >> 8, g & 0xff]))
}

/** The usual short form (RFC 5952). */
export function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return [...bytes].join('.')
  if (bytes.length !== 16) throw malformed(`IP address of ${bytes.length} bytes`)
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2))
  let best = { at: -1, length: 1 }
  for (let i = 0; i < 8; i++) {
    let j = i
    while (j < 8 && groups[j] === 0) j++
    if (j - i > best.length) best = { at: i, length: j - i }
  }
  const hex = (part: number[]) => part.map((g) => g.toString(16)).join(':')
  return best.at < 0 ? hex(groups) : `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`
}


