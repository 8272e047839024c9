/** `skiff secrets-encrypt status|rotate-keys|reencrypt`: the keys that `--secrets-encryption` made, on the server's own machine. */
import { existsSync } from 'node:fs'
import { collect } from '#api/client/body.ts'
import { isReason } from '#api/client/client.ts'
import { SECRETS, type KubeObject, type ResourceRef } from '#api/types/index.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import { configurationHash, parseEncryptionConfig, type EncryptionConfig } from '../apiserver/encryption/index.ts'
import { explainApiFailure, kubeconfigPath, openAdminClient, type AdminClient } from './admin-client.ts'
import { readOwnFlags, readYamlMapping } from './config-file.ts'
import { newKey, ownEncryptionFile, writeOwnConfiguration } from './encryption.ts'
import { clock, random } from './environment.ts'
import { parseFlags } from './flags.ts'
import { text } from './node-config.ts'
import { SECRETS_ENCRYPT_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

/** The server looks at a changed file within a second or two. */
const RELOAD_MS_MAX = 30_000
const LOOK_MS = 500
const PAGE = 500
const WORDS = ['status', 'rotate-keys', 'reencrypt']

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('secrets-encrypt'))
    return 0
  }
  const { values, positionals: [word, ...rest] } = parseFlags('secrets-encrypt', SECRETS_ENCRYPT_FLAGS, { argv, env: process.env, readConfig: readOwnFlags(SECRETS_ENCRYPT_FLAGS) })
  if (word === undefined || !WORDS.includes(word)) throw new UsageError(`skiff secrets-encrypt ${word === undefined ? 'needs' : `knows no ${JSON.stringify(word)}, only`} status, rotate-keys or reencrypt; skiff secrets-encrypt --help tells more`)
  if (rest.length > 0) throw new UsageError(`skiff secrets-encrypt ${word} takes no argument ${JSON.stringify(rest[0])}`)
  const path = ownEncryptionFile(text(values, 'data-dir') ?? '/var/lib/skiff')
  if (word === 'status') {
    process.stdout.write(statusOf(path))
    return 0
  }
  if (!existsSync(path)) throw new CodedError('NOT_ENCRYPTED', `Secrets are not encrypted here: ${path} is not there: start skiff server with --secrets-encryption first`)
  const admin = openAdminClient(kubeconfigPath(text(values, 'kubeconfig')))
  try {
    if (word === 'rotate-keys') await rotateKeys(admin, path)
    else process.stdout.write(`${await rewriteSecrets(admin)} Secrets are encrypted with the key in use\n`)
    return 0
  } catch (error) {
    throw explainApiFailure(error, admin)
  } finally {
    admin.close()
  }
}

function statusOf(path: string): string {
  if (!existsSync(path)) return 'Encryption: disabled\n'
  const [first, ...others] = keysOf(readConfiguration(path))
  return [`Encryption: ${first ? 'enabled' : 'disabled'}`, ...(first ? [`Active key: ${first.kind} ${first.name}`] : []), ...others.map((k) => `Still readable with: ${k.kind} ${k.name}`), `Key file: ${path}`, ''].join('\n')
}

/** Safe to be cut off anywhere: at each step the file holds every key that something is sealed with. Run again, it begins anew. */
async function rotateKeys(admin: AdminClient, path: string): Promise<void> {
  const before = readMapping(path)
  const key = newKey({ clock, random })
  const known = keyEntries(before)
  if (known.some((k) => k.name === key.name)) throw new CodedError('TOO_SOON', 'the key in use was made this very second: try again')
  await writeOwnConfiguration(path, withKeys(before, [key, ...known]))
  await untilInUse(admin, path)
  const written = await rewriteSecrets(admin)
  await writeOwnConfiguration(path, withKeys(before, [key]))
  await untilInUse(admin, path)
  process.stdout.write(`Secrets are encrypted with the new key ${key.name}: ${written} were written anew, ${known.length} old ${known.length === 1 ? 'key is' : 'keys are'} forgotten\n`)
}

/** Every Secret is written as it is; the server seals it with the first key. Returns how many. */
async function rewriteSecrets({ client }: AdminClient): Promise<number> {
  const names: { name: string; namespace: string | undefined }[] = []
  let token: string | undefined
  do {
    const page = await client.list<KubeObject>(SECRETS, { limit: PAGE, ...(token !== undefined && { continue: token }) })
    names.push(...page.items.map(({ metadata }) => ({ name: metadata.name, namespace: metadata.namespace })))
    token = page.metadata.continue
  } while (token !== undefined && token !== '')
  for (const { name, namespace } of names) await rewrite(client, SECRETS, name, namespace)
  return names.length
}

async function rewrite(client: AdminClient['client'], ref: ResourceRef, name: string, namespace: string | undefined): Promise<void> {
  for (;;) {
    try {
      await client.update(ref, await client.get<KubeObject>(ref, name, namespace))
      return
    } catch (error) {
      // Deleted meanwhile, there is nothing left to seal; changed meanwhile, it is sealed anew, but let us be sure.
      if (isReason(error, 'NotFound')) return
      if (!isReason(error, 'Conflict')) throw error
    }
  }
}

/** Waits until the server says that it uses what the file says. */
async function untilInUse({ transport, server }: AdminClient, path: string): Promise<void> {
  const hash = configurationHash(JSON.stringify(readMapping(path)))
  const deadlineMs = clock.monotonicMs() + RELOAD_MS_MAX
  for (;;) {
    const answer = await transport.request({ method: 'GET', path: '/metrics', headers: {}, signal: AbortSignal.timeout(RELOAD_MS_MAX) })
    if ((await collect(answer.body)).includes(`apiserver_encryption_config_controller_last_config_info{hash="${hash}"}`)) return
    if (clock.monotonicMs() > deadlineMs) throw new CodedError('NOT_RELOADED', `the server ${server} does not use ${path} after ${RELOAD_MS_MAX / 1000} s: does it run on this machine, with this --data-dir? Its log has the reason; nothing is lost, run this again`)
    await clock.sleep(LOOK_MS)
  }
}

const readMapping = (path: string): Record<string, unknown> => readYamlMapping(path, { optional: false, what: 'the key file' })

function readConfiguration(path: string): EncryptionConfig {
  const parsed = parseEncryptionConfig(readMapping(path))
  if (!parsed.ok) throw new CodedError('KEY_FILE_DAMAGED', `the key file ${path} is damaged: ${parsed.message}: restore it from a backup`)
  return parsed.config
}

const keysOf = (config: EncryptionConfig): { kind: string; name: string }[] => config.resources.flatMap((r) => r.providers).flatMap((p) => ('keys' in p ? p.keys.map((k) => ({ kind: p.kind, name: k.name })) : []))

interface KeyEntry { name: string; secret: string }

/** Of a file that skiff wrote: one entry, AES-GCM first. */
function keyEntries(mapping: Record<string, unknown>): KeyEntry[] {
  const [entry] = mapping['resources'] as { providers: { aesgcm?: { keys: KeyEntry[] } }[] }[]
  const keys = entry?.providers[0]?.aesgcm?.keys
  if (!keys) throw new CodedError('KEY_FILE_FOREIGN', 'the key file is not as skiff wrote it: rotate its keys by hand')
  return keys
}

function withKeys(mapping: Record<string, unknown>, keys: readonly KeyEntry[]): Record<string, unknown> {
  const [entry] = mapping['resources'] as { resources: string[]; providers: unknown[] }[]
  return { ...mapping, resources: [{ ...entry, providers: [{ aesgcm: { keys } }, ...(entry?.providers.slice(1) ?? [])] }] }
}
