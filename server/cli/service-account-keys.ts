/** Keys of service account tokens that are brought along (`--service-account-signing-key-file`, `--service-account-key-file`): PEM, RSA or ECDSA. */
import { createPublicKey } from 'node:crypto'
import { UsageError } from '#base/errors.ts'
import { parsePem, parsePrivateKey, toPem, type KeyObject } from '#base/x509/index.ts'
import { algorithmOf } from '../apiserver/authn/jwt.ts'
import { withId, type SigningKey } from '../apiserver/pki/service-account-keys.ts'
import { readText } from './authentication.ts'
import type { FlagValues } from './flags.ts'
import { list, text } from './node-config.ts'

const SIGNING = 'service-account-signing-key-file'
const VERIFYING = 'service-account-key-file'

/** Throws UsageError. */
export function serviceAccountKeys(values: FlagValues): { signs: SigningKey | undefined; verifies: readonly SigningKey[] } {
  const path = text(values, SIGNING)
  const [signs] = path === undefined ? [] : keysOf(path, SIGNING, privateOnly)
  return { signs: signs && withId(signs), verifies: list(values, VERIFYING).flatMap((file) => keysOf(file, VERIFYING, publicOrPrivate)).map(withId) }
}

function keysOf(path: string, flag: string, read: (label: string, pem: string) => KeyObject | undefined): KeyObject[] {
  const wrong = (cause?: unknown) => new UsageError(`--${flag}: ${path} holds no ${flag === SIGNING ? 'private ' : ''}RSA or ECDSA key: it must be PEM`, { cause })
  let keys: KeyObject[]
  try {
    keys = parsePem(readText(path, flag)).map(({ label, bytes }) => read(label, toPem(label, bytes))).filter((key) => key !== undefined)
  } catch (error) {
    throw error instanceof UsageError ? error : wrong(error)
  }
  if (keys.length === 0 || keys.some((key) => algorithmOf(key) === undefined)) throw wrong()
  return keys
}

const privateOnly = (label: string, pem: string): KeyObject | undefined => (label.endsWith('PRIVATE KEY') ? parsePrivateKey(pem) : undefined)

/** What only checks tokens keeps no secret. */
function publicOrPrivate(label: string, pem: string): KeyObject | undefined {
  if (label.endsWith('PRIVATE KEY')) return createPublicKey(parsePrivateKey(pem))
  return label.endsWith('PUBLIC KEY') || label === 'CERTIFICATE' ? createPublicKey(pem) : undefined
}
