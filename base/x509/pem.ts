/** PEM (RFC 7468): labelled base64 blocks. Text outside blocks is ignored, as openssl prints it. */
import { malformed } from './der.ts'

/** A chain of a few certificates and a key; more is not ours to read. */
export const PEM_CHARS_MAX = 256 * 1024

export interface PemBlock { label: string; bytes: Buffer }

/** All blocks, in order. Throws X509_MALFORMED on broken ones; none at all is an empty list. */
export function parsePem(text: string): PemBlock[] {
  if (text.length > PEM_CHARS_MAX) throw malformed(`PEM of ${text.length} characters is larger than ${PEM_CHARS_MAX}`)
  const blocks: PemBlock[] = []
  let label: string | undefined
  let body = ''
  for (const rawLine of text.split('\n')) {
    const line = rawLine.trim()
    if (label === undefined) {
      if (line.startsWith('-----BEGIN ') && line.endsWith('-----')) [label, body] = [line.slice(11, -5), '']
    } else if (line === `-----END ${label}-----`) {
      if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body) || body.length % 4 !== 0) throw malformed(`PEM block ${label} is not base64`)
      blocks.push({ label, bytes: Buffer.from(body, 'base64') })
      label = undefined
    } else if (line.startsWith('-----')) {
      throw malformed(`PEM block ${label} does not end`)
    } else {
      body += line
    }
  }
  if (label !== undefined) throw malformed(`PEM block ${label} does not end`)
  return blocks
}

/** The first block with this label. Throws X509_MALFORMED when there is none. */
export function parsePemBlock(text: string, label: string): Buffer {
  const block = parsePem(text).find((b) => b.label === label)
  if (!block) throw malformed(`no PEM block ${label}`)
  return block.bytes
}

export function toPem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
