/** `skiff secrets-encrypt status|rotate-keys|reencrypt`: the keys that `--secrets-encryption` made. Status reads this server's own copy; the rest asks the server. */
import { existsSync } from 'node:fs'
import { collect } from '#api/client/body.ts'
import { isReason } from '#api/client/client.ts'
import { SECRETS, type KubeObject, type ResourceRef } from '#api/types/index.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import { parseEncryptionConfig, type EncryptionConfig } from '../apiserver/encryption/index.ts'
import { KEYS_PATH } from '../apiserver/encryption/keys-endpoint.ts'
import { explainApiFailure, kubeconfigPath, openAdminClient, type AdminClient } from './admin-client.ts'
import { readOwnFlags, readYamlMapping } from './config-file.ts'
import { ownEncryptionFile } from './encryption.ts'
import { parseFlags } from './flags.ts'
import { text } from './node-config.ts'
import { SECRETS_ENCRYPT_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

/** Without a majority of the servers, say, nothing is changed. */
const ANSWER_MS_MAX = 30_000
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
  const admin = openAdminClient(kubeconfigPath(text(values, 'kubeconfig')))
  try {
    if (word === 'rotate-keys') await rotateKeys(admin)
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

/** Safe to be cut off anywhere: at each step there is every key that something is sealed with. Run again, it begins anew. */
async function rotateKeys(admin: AdminClient): Promise<void> {
  const [key, ...old] = await askForKeys(admin, `${KEYS_PATH}/rotate`)
  const written = await rewriteSecrets(admin)
  await askForKeys(admin, `${KEYS_PATH}/forget`)
  process.stdout.write(`Secrets are encrypted with the new key ${key ?? ''}: ${written} were written anew, ${old.length} old ${old.length === 1 ? 'key is' : 'keys are'} forgotten\n`)
}

/** Names of the keys as they are then, on all servers. */
async function askForKeys({ transport, server }: AdminClient, path: string): Promise<string[]> {
  const answer = await transport.request({ method: 'POST', path, headers: {}, signal: AbortSignal.timeout(ANSWER_MS_MAX) })
  const said = JSON.parse((await collect(answer.body)).toString()) as { keys?: string[]; message?: string; reason?: string }
  if (answer.status !== 200 || !said.keys) throw new CodedError('KEYS_REFUSED', `the server ${server} does not change the keys: ${said.message ?? String(answer.status)}`)
  return said.keys
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

const readMapping = (path: string): Record<string, unknown> => readYamlMapping(path, { optional: false, what: 'the key file' })

function readConfiguration(path: string): EncryptionConfig {
  const parsed = parseEncryptionConfig(readMapping(path))
  if (!parsed.ok) throw new CodedError('KEY_FILE_DAMAGED', `the key file ${path} is damaged: ${parsed.message}: restore it from a backup`)
  return parsed.config
}

const keysOf = (config: EncryptionConfig): { kind: string; name: string }[] => config.resources.flatMap((r) => r.providers).flatMap((p) => ('keys' in p ? p.keys.map((k) => ({ kind: p.kind, name: k.name })) : []))
