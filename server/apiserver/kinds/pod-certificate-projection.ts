/** A certificate of its own in a pod's volume (KEP-4317). */
import type { PodCertificateProjection } from '#api/types/index.ts'
import { type FieldError, invalid, notSupported, required } from '../field-error.ts'
import { checkDomainPrefixedKey } from './domain-path.ts'
import { localFilePath } from './path-validation.ts'
import { validateSignerName } from './signer-name.ts'

const KEY_TYPES = ['RSA3072', 'RSA4096', 'ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519']
const EXPIRATION_SECONDS_MIN = 3_600
const EXPIRATION_SECONDS_MAX = 91 * 24 * 3_600
/** Of Kubernetes' own signers. */
const OWN_EXPIRATION_SECONDS_MAX = 24 * 3_600

export function validatePodCertificate(at: string, { signerName, userAnnotations, keyType, maxExpirationSeconds: seconds, ...paths }: PodCertificateProjection): FieldError[] {
  const out = [...validateSignerName(`${at}.signerName`, signerName), ...Object.keys(userAnnotations ?? {}).flatMap((key) => checkDomainPrefixedKey(`${at}.userAnnotations`, key.toLowerCase()))]
  if (!KEY_TYPES.includes(keyType)) out.push(notSupported(`${at}.keyType`, keyType ?? '', KEY_TYPES))
  const most = isOwnSigner(signerName ?? '') ? OWN_EXPIRATION_SECONDS_MAX : EXPIRATION_SECONDS_MAX
  if (seconds !== undefined && seconds < EXPIRATION_SECONDS_MIN) out.push(invalid(`${at}.maxExpirationSeconds`, seconds, `if provided, maxExpirationSeconds must be >= ${EXPIRATION_SECONDS_MIN}`))
  if (seconds !== undefined && seconds > most) out.push(invalid(`${at}.maxExpirationSeconds`, seconds, `if provided, maxExpirationSeconds must be <= ${most}`))
  const given = (['credentialBundlePath', 'keyPath', 'certificateChainPath'] as const).filter((key) => paths[key])
  for (const key of given) out.push(...localFilePath(`${at}.${key}`, paths[key] ?? ''))
  return given.length > 0 ? out : [...out, required(at, 'specify at least one of credentialBundlePath, keyPath, and certificateChainPath')]
}

function isOwnSigner(name: string): boolean {
  const [domain = ''] = name.split('/')
  return domain === 'kubernetes.io' || domain.endsWith('.kubernetes.io')
}
