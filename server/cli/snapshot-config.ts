/** Flags of snapshots, which `skiff server` and `skiff snapshot` share, as configuration; keys of S3 from files, the environment or a Secret. */
import { readFileSync } from 'node:fs'
import { Cron } from 'croner'
import type { Client } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import { SECRETS, type Secret } from '#api/types/index.ts'
import { asError, CodedError, UsageError } from '#base/errors.ts'
import { parseSchedule } from '../controllers/cronjob/schedule.ts'
import { defaultSnapshotDirectory, directoryStorage } from '../snapshot/directory-storage.ts'
import { s3Storage } from '../snapshot/s3/s3-storage.ts'
import type { S3Config } from '../snapshot/s3/s3-client.ts'
import type { S3Credentials } from '../snapshot/s3/sign.ts'
import type { SnapshotStorage } from '../snapshot/snapshot-storage.ts'
import type { SnapshotConfig } from '../server-config.ts'
import { clock } from './environment.ts'
import { durationSeconds } from './flag-checks.ts'
import type { FlagValues } from './flags.ts'
import { text } from './node-config.ts'

export const snapshotDirectory = (values: FlagValues): string => text(values, 'snapshot-dir') ?? defaultSnapshotDirectory(text(values, 'data-dir') ?? '/var/lib/skiff')

/** Undefined: none are taken by schedule. Throws UsageError. */
export function scheduledSnapshots(values: FlagValues): SnapshotConfig | undefined {
  if (values['disable-snapshots'] === true) return undefined
  const cron = text(values, 'snapshot-schedule-cron') ?? ''
  const parsed = parseSchedule(Cron, cron, undefined)
  if (!parsed.ok) throw new UsageError(`--snapshot-schedule-cron: ${JSON.stringify(cron)} is no schedule: ${parsed.message}`)
  const usesS3 = values['s3'] === true
  // Said at the start, not in twelve hours.
  if (usesS3 && text(values, 's3-config-secret') === undefined) s3Config(values)
  return {
    schedule: parsed.schedule, name: text(values, 'snapshot-name') ?? 'snapshot', retention: Number(values['snapshot-retention']), directory: directoryStorage(snapshotDirectory(values)),
    remote: usesS3 ? (client) => s3Of(values, client) : undefined,
  }
}

/** `client`: reads the Secret of `--s3-config-secret`; undefined where no server can be asked. */
export async function s3Of(values: FlagValues, client: Client | undefined): Promise<SnapshotStorage> {
  const name = text(values, 's3-config-secret')
  if (name === undefined) return s3Storage(s3Config(values), clock)
  if (!client) throw new UsageError('--s3-config-secret: the Secret is in the cluster that is to be restored: pass the other --s3 flags')
  try {
    const secret = await client.get<Secret>(SECRETS, name, 'kube-system')
    return s3Storage(s3Config(values, secret), clock)
  } catch (error) {
    if (isReason(error, 'NotFound')) throw new CodedError('S3_NO_SECRET', `--s3-config-secret: there is no Secret ${name} in kube-system`, { cause: error })
    throw error
  }
}

/** What a Secret says goes before flags. Throws UsageError. */
export function s3Config(values: FlagValues, secret?: Pick<Secret, 'data'>): S3Config {
  const fromSecret = (name: string): string | undefined => {
    const encoded = secret?.data?.[`etcd-${name}`]
    return encoded === undefined || encoded === '' ? undefined : Buffer.from(encoded, 'base64').toString().trim()
  }
  const get = (name: string) => fromSecret(name) ?? text(values, name)
  const is = (name: string) => (fromSecret(name) ?? String(values[name])) === 'true'
  const bucket = get('s3-bucket')
  if (bucket === undefined) throw new UsageError('--s3-bucket: --s3 needs the name of a bucket')
  const lookup = get('s3-bucket-lookup-type') ?? 'auto'
  const timeoutSeconds = durationSeconds(get('s3-timeout') ?? '')
  const endpoint = get('s3-endpoint') ?? 's3.amazonaws.com'
  const caFile = text(values, 's3-endpoint-ca')
  return {
    endpoint: endpoint.replace(/^https?:\/\//, '').replace(/\/$/, ''), bucket, folder: get('s3-folder') ?? '', region: get('s3-region') ?? 'us-east-1',
    bucketLookup: lookup === 'dns' || lookup === 'path' ? lookup : 'auto',
    insecure: is('s3-insecure') || endpoint.startsWith('http://'),
    ca: fromSecret('s3-endpoint-ca') ?? (caFile === undefined ? undefined : readFlagFile('s3-endpoint-ca', caFile)),
    skipSslVerify: is('s3-skip-ssl-verify'), timeoutMs: (timeoutSeconds ?? 300) * 1000,
    credentials: credentialsOf(values, get),
  }
}

function credentialsOf(values: FlagValues, get: (name: string) => string | undefined): S3Credentials {
  const file = text(values, 's3-credentials-file')
  const [accessKey, secretKey] = [get('s3-access-key'), get('s3-secret-key')]
  if (accessKey !== undefined && secretKey !== undefined) return { accessKey, secretKey, sessionToken: get('s3-session-token') }
  if (file !== undefined) return credentialsIn(file)
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: key, AWS_SESSION_TOKEN: token } = process.env
  if (id && key) return { accessKey: id, secretKey: key, ...(token && { sessionToken: token }) }
  throw new UsageError('--s3 needs keys: set s3-access-key and s3-secret-key in the config file, SKIFF_S3_ACCESS_KEY and SKIFF_S3_SECRET_KEY, or pass --s3-credentials-file or --s3-config-secret')
}

/** As the AWS tools write it; the profile `default`. */
function credentialsIn(path: string): S3Credentials {
  const lines = readFlagFile('s3-credentials-file', path).split('\n').map((line) => line.trim())
  const start = lines.indexOf('[default]')
  const end = lines.findIndex((line, i) => i > start && line.startsWith('['))
  const found = new Map(lines.slice(start + 1, end < 0 ? undefined : end).flatMap((line) => {
    const at = line.indexOf('=')
    return at < 0 || line.startsWith('#') ? [] : [[line.slice(0, at).trim(), line.slice(at + 1).trim()] as const]
  }))
  const [accessKey, secretKey] = [found.get('aws_access_key_id'), found.get('aws_secret_access_key')]
  if (start < 0 || accessKey === undefined || secretKey === undefined) throw new UsageError(`--s3-credentials-file: ${path} has no aws_access_key_id and aws_secret_access_key under [default]`)
  return { accessKey, secretKey, sessionToken: found.get('aws_session_token') }
}

/** PEM, keys: small. Throws UsageError. */
export function readFlagFile(flag: string, path: string): string {
  try {
    const bytes = readFileSync(path)
    if (bytes.length > FILE_BYTES_MAX) throw new Error(`it has ${bytes.length} bytes`)
    return bytes.toString()
  } catch (error) {
    throw new UsageError(`--${flag}: ${path} cannot be read: ${asError(error).message}`, { cause: error })
  }
}

const FILE_BYTES_MAX = 1024 * 1024
