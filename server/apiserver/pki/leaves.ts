/**
 * The server's own certificates. They can always be made again, so anything wrong with one (missing, damaged, past
 * two thirds of its life, other names asked for, other CA) is mended by a new one.
 */
import type { Random } from '#base/random.ts'
import { NO_ALT_NAMES, certificatePem, createCertificate, generateKey, isIssuedBy, type AltNames, type Certificate, type ExtendedKeyUsage } from '#base/x509/index.ts'
import { DAY_MS, type Authority } from './authorities.ts'
import { readPair, writePair, type Pair, type StoredPair } from './files.ts'

export const LEAF_LIFE_MS = 365 * DAY_MS

export interface LeafSpec {
  file: string
  commonName: string
  organizations: readonly string[]
  usages: readonly ExtendedKeyUsage[]
  altNames: AltNames
  authority: Authority
  /** Appends the CA to the file, so that a joiner sees the root in the handshake. */
  withChain?: boolean
}

/** Why this leaf has to be made (again), or undefined when it is right. Pure. */
export function decideLeaf(spec: LeafSpec, stored: StoredPair, nowMs: number): string | undefined {
  if (stored.state === 'absent') return 'there is none yet'
  if (stored.state === 'key-only') return 'it was cut off while being made'
  if (stored.state === 'broken') return stored.because
  const certificate = stored.pair.chain[0] as Certificate
  if (!isIssuedBy(certificate, spec.authority.certificate)) return 'it was signed by another authority'
  if (certificate.subject.commonName !== spec.commonName || !sameSet(certificate.subject.organizations, spec.organizations)) return 'it names somebody else'
  if (!sameSet(certificate.extendedKeyUsages, spec.usages)) return 'it is for another use'
  if (!sameSet(certificate.altNames.dnsNames, spec.altNames.dnsNames) || !sameSet(certificate.altNames.ipAddresses, spec.altNames.ipAddresses)) return 'the names and addresses it has to cover have changed'
  if (nowMs >= renewAtMs(certificate, spec.authority.certificate)) return 'two thirds of its life are over'
  return undefined
}

/** Certificates are back-dated to their CA's beginning, so what is left counts, not what has passed. One that lives to its CA's end cannot be improved. */
export function renewAtMs(certificate: Certificate, authority: Certificate): number {
  return certificate.notAfterMs >= authority.notAfterMs ? Infinity : certificate.notAfterMs - LEAF_LIFE_MS / 3
}

export async function ensureLeaf(directory: string, spec: LeafSpec, ctx: { nowMs: number; random: Random }): Promise<{ pair: Pair; because: string | undefined }> {
  const stored = await readPair(directory, spec.file)
  const because = decideLeaf(spec, stored, ctx.nowMs)
  if (because === undefined && stored.state === 'whole') return { pair: stored.pair, because }
  const key = await generateKey()
  const der = createCertificate({
    subject: { commonName: spec.commonName, organizations: spec.organizations },
    // Back to the CA's beginning: a board whose clock lags accepts it as long as it accepts the CA.
    notBeforeMs: spec.authority.certificate.notBeforeMs,
    notAfterMs: Math.min(ctx.nowMs + LEAF_LIFE_MS, spec.authority.certificate.notAfterMs),
    keyUsages: ['digitalSignature', 'keyEncipherment'], extendedKeyUsages: spec.usages, altNames: { ...NO_ALT_NAMES, ...spec.altNames },
  }, { key }, spec.authority, ctx.random)
  const pem = certificatePem(der) + (spec.withChain ? certificatePem(spec.authority.certificate.der) : '')
  return { pair: await writePair(directory, spec.file, key, pem), because }
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((x) => b.includes(x))
}
