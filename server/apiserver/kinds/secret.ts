/** Secrets: typed by `type`, which says what keys must be there. */
import type { Secret } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts'
import { explainJson } from '../decode/json-scan.ts'
import type { KindStrategy } from '../kind.ts'
import { immutable, setDefault } from './check.ts'
import { DATA_BYTES_MAX } from './config-map.ts'
import { keyPairWarnings } from './key-pair-warnings.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'
import { validateData } from './volume-validation.ts'

const ACCOUNT_NAME = 'kubernetes.io/service-account.name'

export const secretStrategy: KindStrategy<Secret> = {
  generation: false,

  defaults(secret) {
    setDefault(secret, 'type', 'Opaque')
    if (!secret.stringData) return
    // stringData is for writing only: it is merged into data, over what is there.
    const written = Object.entries(secret.stringData).map(([key, value]) => [key, Buffer.from(value ?? '').toString('base64')] as const)
    secret.data = { ...secret.data, ...Object.fromEntries(written) }
    delete secret.stringData
  },

  validate: validateSecret,

  warnings: ({ type, data }) => (type === 'kubernetes.io/tls' ? keyPairWarnings(data?.['tls.crt'], data?.['tls.key']) : []),

  validateUpdate(secret, old) {
    const out = immutable('type', secret.type, old.type)
    if (old.immutable) {
      if (!secret.immutable) out.push(forbidden('immutable', 'field is immutable when `immutable` is set'))
      if (!semanticEqual(secret.data, old.data, 'data')) out.push(forbidden('data', 'field is immutable when `immutable` is set'))
    }
    return [...out, ...validateSecret(secret)]
  },

  columns: [
    nameColumn(),
    column('Type', 'Used to facilitate programmatic handling of secret data. More info: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types', (o) => o.type ?? ''),
    column('Data', "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4", (o) => Object.keys(o.data ?? {}).length),
    ageColumn(),
  ],
  selectableFields: { type: (o) => o.type ?? '' },
}

function validateSecret(secret: Secret): FieldError[] {
  const { errors, sizeBytes } = validateData({ data: secret.data }, (_field, value) => Buffer.byteLength(value, 'base64'))
  if (sizeBytes > DATA_BYTES_MAX) errors.push(tooLong('data', DATA_BYTES_MAX))
  const has = (key: string): boolean => Object.hasOwn(secret.data ?? {}, key)
  switch (secret.type) {
    case 'kubernetes.io/service-account-token':
      if (!secret.metadata?.annotations?.[ACCOUNT_NAME]) errors.push(required(`metadata.annotations[${ACCOUNT_NAME}]`))
      break
    case 'kubernetes.io/dockercfg':
    case 'kubernetes.io/dockerconfigjson': {
      const key = secret.type === 'kubernetes.io/dockercfg' ? '.dockercfg' : '.dockerconfigjson'
      if (!has(key)) errors.push(required(`data[${key}]`))
      else errors.push(...objectProblem(Buffer.from(secret.data?.[key] ?? '', 'base64').toString()).map((why) => invalid(`data[${key}]`, '<secret contents redacted>', why)))
      break
    }
    case 'kubernetes.io/basic-auth':
      if (!has('username') && !has('password')) errors.push(required('data[username]'), required('data[password]'))
      break
    case 'kubernetes.io/ssh-auth':
      if (!secret.data?.['ssh-privatekey']) errors.push(required('data[ssh-privatekey]'))
      break
    case 'kubernetes.io/tls':
      for (const key of ['tls.crt', 'tls.key']) if (!has(key)) errors.push(required(`data[${key}]`))
      break
    default:
  }
  return errors
}

/** Why a text is no JSON object, as Go says it. */
function objectProblem(text: string): string[] {
  const read = explainJson(text)
  if (!read.ok) return [read.message]
  const value: unknown = JSON.parse(text)
  const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value
  return kind === 'object' ? [] : [`json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`]
}
