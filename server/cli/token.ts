/** `skiff token create|list|delete`: bootstrap tokens (upstream's Secrets in kube-system) that let agents join. */
import { BOOTSTRAP_TOKEN_TYPE, bootstrapTokenSecret, describeToken, tokenTable } from './bootstrap-token.ts'
import { isReason } from '#api/client/client.ts'
import { formatToken, parseBootstrapToken, parseToken } from '#api/token/token.ts'
import { SECRETS, type Secret } from '#api/types/index.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import { fingerprint, parsePemBlock } from '#base/x509/index.ts'
import { explainApiFailure, kubeconfigPath, openAdminClient, type AdminClient } from './admin-client.ts'
import { clock, random } from './environment.ts'
import { durationSeconds } from './flag-checks.ts'
import { parseFlags, type FlagValues } from './flags.ts'
import { text } from './node-config.ts'
import { TOKEN_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

const NAMESPACE = 'kube-system'

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('token'))
    return 0
  }
  const { values, positionals: [word, ...rest] } = parseFlags('token', TOKEN_FLAGS, { argv, env: {}, readConfig: () => ({}) })
  if (word !== 'create' && word !== 'list' && word !== 'delete') throw new UsageError(`skiff token ${word === undefined ? 'needs' : `knows no ${JSON.stringify(word)}, only`} create, list or delete; skiff token --help tells more`)
  if (word !== 'delete' && rest.length > 0) throw new UsageError(`skiff token ${word} takes no argument ${JSON.stringify(rest[0])}`)
  const ids = word === 'delete' ? rest.map(idOf) : []
  if (word === 'delete' && ids.length === 0) throw new UsageError('skiff token delete needs the id of a token; skiff token list shows them')
  const admin = openAdminClient(kubeconfigPath(text(values, 'kubeconfig')))
  try {
    if (word === 'create') await create(admin, values)
    else if (word === 'list') await list(admin, values)
    else for (const id of ids) await remove(admin, id)
    return 0
  } catch (error) {
    throw explainApiFailure(error, admin)
  } finally {
    admin.close()
  }
}

async function create({ client, ca }: AdminClient, values: FlagValues): Promise<void> {
  const { secret, token } = bootstrapTokenSecret({ random, nowMs: clock.nowMs(), ttlSeconds: durationSeconds(text(values, 'ttl') ?? '24h') ?? 0, description: text(values, 'description') })
  await client.create<Secret>(SECRETS, secret)
  process.stdout.write(`${formatToken({ caHash: fingerprint(parsePemBlock(ca, 'CERTIFICATE')), user: undefined, secret: token })}\n`)
}

async function list({ client }: AdminClient, values: FlagValues): Promise<void> {
  const { items } = await client.list<Secret>(SECRETS, { namespace: NAMESPACE, fieldSelector: `type=${BOOTSTRAP_TOKEN_TYPE}` })
  const tokens = items.map((secret) => describeToken(secret))
  process.stdout.write(values['json'] === true ? `${JSON.stringify(tokens)}\n` : tokenTable(tokens, clock.nowMs()))
}

async function remove({ client }: AdminClient, id: string): Promise<void> {
  try {
    await client.delete(SECRETS, `bootstrap-token-${id}`, NAMESPACE)
  } catch (error) {
    if (isReason(error, 'NotFound')) throw new CodedError('TOKEN_UNKNOWN', `there is no token ${id}; skiff token list shows them`, { cause: error })
    throw error
  }
  process.stdout.write(`deleted token ${id}: machines that have joined with it stay\n`)
}

/** An id, `id.secret` or the whole token. */
function idOf(argument: string): string {
  if (/^[a-z0-9]{6}$/.test(argument)) return argument
  const id = parseBootstrapToken(parseToken(argument).secret)?.id
  // The argument may be a secret: it is not repeated.
  if (id === undefined) throw new UsageError('skiff token delete takes ids of 6 characters, such as abc123; skiff token list shows them')
  return id
}
