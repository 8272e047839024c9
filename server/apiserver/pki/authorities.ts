/**
 * The cluster's certificate authorities: server (signs the servers' own certificates and nothing else), client (users and
 * nodes), request-header (front proxy), kubelet-serving (nodes' serving certificates). Made once; every later start
 * finds them or refuses. Kubelets have an authority of their own because a node reports its addresses itself: under
 * the server's, one that claims to be called `kubernetes` could pass for the API.
 */
import { CodedError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { certificatePem, createCertificate, fingerprint, generateKey, type Certificate, type Issuer, type KeyObject } from '#base/x509/index.ts'
import { certPath, keyPath, readPair, writePair, type Pair } from './files.ts'

export interface Authority extends Issuer {
  certPem: string
  /** What tokens carry. */
  hash: string
}

export interface Authorities { server: Authority; client: Authority; requestHeader: Authority; kubeletServing: Authority }

export const DAY_MS = 86_400_000
/** Boards lie in cupboards for years; a cluster must not end because its CA did. */
const CA_LIFE_MS = 20 * 365 * DAY_MS
/** How far back a CA is valid: a joiner whose clock lags by hours, or has the time zone wrong, is let in. */
const CA_BACKDATE_MS = 2 * DAY_MS
/** No skiff ran before this: a clock that says so is not set (2026-01-01). */
export const TIME_FLOOR_MS = 1_767_225_600_000

const FILES = { server: 'server-ca', client: 'client-ca', requestHeader: 'request-header-ca', kubeletServing: 'kubelet-serving-ca' } as const

export interface AuthorityContext { directory: string; nowMs: number; random: Random }

/**
 * Reads all, making those that are missing. Throws `CLOCK_BEHIND` (wait for the time and try again) or
 * `PKI_BROKEN` (a person must decide).
 */
export async function ensureAuthorities(ctx: AuthorityContext): Promise<Authorities> {
  return {
    server: await ensureAuthority(ctx, FILES.server, 'skiff-server-ca'),
    client: await ensureAuthority(ctx, FILES.client, 'skiff-client-ca'),
    requestHeader: await ensureAuthority(ctx, FILES.requestHeader, 'skiff-request-header-ca'),
    kubeletServing: await ensureAuthority(ctx, FILES.kubeletServing, 'skiff-kubelet-serving-ca'),
  }
}

async function ensureAuthority(ctx: AuthorityContext, file: string, commonName: string): Promise<Authority> {
  const stored = await readPair(ctx.directory, file)
  switch (stored.state) {
    case 'broken':
      throw new CodedError('PKI_BROKEN', `${stored.because}: restore both files from a backup; removing them makes a new cluster identity, and every node and user has to join again`)
    case 'whole': {
      const authority = toAuthority(stored.pair)
      checkAuthority(ctx, file, authority.certificate)
      return authority
    }
    case 'key-only': return toAuthority(await makeAuthority(ctx, file, commonName, stored.key))
    case 'absent': return toAuthority(await makeAuthority(ctx, file, commonName, await generateKey()))
  }
}

function checkAuthority(ctx: AuthorityContext, file: string, certificate: Certificate): void {
  if (!certificate.isCa) throw new CodedError('PKI_BROKEN', `${certPath(ctx.directory, file)} is not a certificate authority: restore it and ${keyPath(ctx.directory, file)} from a backup`)
  if (ctx.nowMs < certificate.notBeforeMs) {
    throw new CodedError('CLOCK_BEHIND', `the clock says ${isoTime(ctx.nowMs)}, but this cluster's certificates begin at ${isoTime(certificate.notBeforeMs)}: set the clock or let NTP set it`, { details: { notBeforeMs: certificate.notBeforeMs } })
  }
  if (ctx.nowMs > certificate.notAfterMs) {
    throw new CodedError('PKI_BROKEN', `the clock says ${isoTime(ctx.nowMs)}, but ${certPath(ctx.directory, file)} ended at ${isoTime(certificate.notAfterMs)}: set the clock right, or replace the authority`)
  }
}

async function makeAuthority(ctx: AuthorityContext, file: string, commonName: string, key: KeyObject): Promise<Pair> {
  if (ctx.nowMs < TIME_FLOOR_MS) {
    throw new CodedError('CLOCK_BEHIND', `the clock says ${isoTime(ctx.nowMs)}, which cannot be: certificates made now would end before they are used; set the clock or let NTP set it`, { details: { notBeforeMs: TIME_FLOOR_MS } })
  }
  const der = createCertificate({
    subject: { commonName: `${commonName}@${Math.floor(ctx.nowMs / 1000)}`, organizations: [] },
    notBeforeMs: ctx.nowMs - CA_BACKDATE_MS, notAfterMs: ctx.nowMs + CA_LIFE_MS,
    isCa: true, keyUsages: ['digitalSignature', 'keyEncipherment', 'certSign'],
  }, { key }, { selfSigned: key }, ctx.random)
  return writePair(ctx.directory, file, key, certificatePem(der))
}

function toAuthority(pair: Pair): Authority {
  const certificate = pair.chain[0] as Certificate
  return { certificate, key: pair.key, certPem: pair.certPem, hash: fingerprint(certificate.der) }
}

export const isoTime = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ') + ' UTC'
