/** Certificates of the owner's for the API port (`--tls-cert-file`, `--tls-private-key-file`, `--tls-sni-cert-key`), followed while the server runs. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { Clock } from '#base/clock.ts'
import { asError, UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { CertificatePair, OwnersCertificates } from '../apiserver/http/certificate-choice.ts'
import type { ServingCertificates } from '../door.ts'
import type { FlagValues } from './flags.ts'
import { followFile } from './follow-file.ts'
import { list, text } from './node-config.ts'

const [CERT, KEY, NAMED] = ['tls-cert-file', 'tls-private-key-file', 'tls-sni-cert-key'] as const

/** Undefined: there are none. Throws UsageError for files that make no sense; later those before them stay in use. */
export function followServingCertificates(values: FlagValues, deps: { clock: Clock; log: Log }): ServingCertificates | undefined {
  const [cert, key] = [text(values, CERT), text(values, KEY)]
  if (cert === undefined && key === undefined && list(values, NAMED).length === 0) return undefined
  if (cert === undefined && key !== undefined) throw new UsageError(`--${KEY}: it needs the certificate of this key: pass --${CERT}, too`)
  if (cert !== undefined && key === undefined) throw new UsageError(`--${CERT}: it needs the key of this certificate: pass --${KEY}, too`)
  const named = list(values, NAMED).map(parseNamedPair)
  const read = (): OwnersCertificates => ({
    fallback: cert === undefined || key === undefined ? undefined : readPair(CERT, cert, key),
    named: named.map(({ cert, key, names }) => ({ ...readPair(NAMED, cert, key), names })),
  })
  let current = read()
  const listeners = new Set<() => void>()
  const files = [...(cert === undefined || key === undefined ? [] : [cert, key]), ...named.flatMap((pair) => [pair.cert, pair.key])].map((file) => resolve(file))
  const close = followFile(files, () => {
    current = read()
    for (const listener of listeners) listener()
  }, deps)
  return {
    current: () => current,
    onChange(listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    close,
  }
}

/** `cert,key` or `cert,key:name,name`, as kube-apiserver takes it. */
function parseNamedPair(value: string): { cert: string; key: string; names: readonly string[] } {
  const colon = value.indexOf(':')
  const files = (colon < 0 ? value : value.slice(0, colon)).split(',').map((file) => file.trim())
  const names = colon < 0 ? [] : value.slice(colon + 1).split(',').map((name) => name.trim())
  const [cert = '', key = ''] = files
  if (files.length !== 2 || cert === '' || key === '') throw new UsageError(`--${NAMED}: ${value}: expected comma separated certificate and key file paths`)
  if (colon >= 0 && value.slice(colon + 1).trim() === '') throw new UsageError(`--${NAMED}: ${value}: empty names list is not allowed`)
  const address = names.find((name) => isIP(name) !== 0)
  if (address !== undefined) throw new UsageError(`--${NAMED}: ${address} is an address: whoever connects by address is shown the cluster's own certificate; name it with --tls-san`)
  return { cert, key, names }
}

function readPair(flag: string, cert: string, key: string): CertificatePair {
  try {
    const pair = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
    // Of a pair of which one is new and the other is not it says so.
    createSecureContext(pair)
    return pair
  } catch (error) {
    throw new UsageError(`--${flag}: ${cert}, ${key}: ${asError(error).message}`)
  }
}
