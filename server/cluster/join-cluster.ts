/** How a machine becomes a server of a cluster: gets the cluster's keys from a server that is one, later asks to be taken in as a member. */
import type { ClusterConfig } from '#api/cluster-config.ts'
import { pinCa } from '#api/join/pin-ca.ts'
import { parseServerUrl } from '#api/join/probe.ts'
import { bearerOf, parseToken, type JoinToken } from '#api/token/token.ts'
import { backoffMs } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode, UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { askServer, messageOf, type Asker } from './ask-server.ts'
import { assertSameSettings, decodeBundle, writeBundle } from './join-bundle.ts'
import { BUNDLE_PATH, MEMBERS_PATH } from './join-endpoint.ts'
import { isAddress, type MemberRequest } from './member-request.ts'

export interface JoinDeps { clock: Clock; random: Random; log: Log; signal: AbortSignal }

const RETRY = { baseMs: 500, maxMs: 10_000, jitter: 0.3 }
/** Two servers that name each other must not be asked in a circle without a pause. */
const NAMED_LEADER_MS = 100

/**
 * Fetches the cluster's keys and writes them below `<data-dir>/server`; waits for the server as long as it is away.
 * Rejects with a UsageError (token, settings, a machine of another cluster), `JOIN_CA_MISMATCH`, `JOIN_TOKEN_REFUSED`.
 */
export async function fetchClusterKeys(options: { server: string; token: string | undefined; dataDir: string; cluster: ClusterConfig; port: number }, deps: JoinDeps): Promise<void> {
  const { url } = parseServerUrl(options.server)
  if (options.token === undefined) throw new UsageError('--token: a server joins with the server token: pass the contents of <data-dir>/server/token of a server')
  const token = serverToken(options.token)
  if (token.caHash === undefined) deps.log.warn('the token is a bare secret: the cluster CA cannot be verified; use the full token from <data-dir>/server/token')
  const ca = await pinCa([url], token, deps)
  const asker = { ca, bearer: bearerOf(token), clock: deps.clock, signal: deps.signal }
  const bundle = await retried(`${url} cannot be joined yet`, deps, async () => {
    const { status, value } = await askServer(url, 'GET', BUNDLE_PATH, undefined, asker)
    if (status === 200) return decodeBundle(value)
    if (status === 401 || status === 403) throw new CodedError('JOIN_TOKEN_REFUSED', 'the server does not accept this token: take the one in <data-dir>/server/token of a server, not the agent token, and pass it as --token')
    if (status === 404) throw new UsageError(`--server: ${url} runs a cluster of one server only: start it with --cluster-init`)
    throw new CodedError('JOIN_UNREACHABLE', `${url} answered ${status}: ${messageOf(value)}`)
  })
  assertSameSettings(options, bundle)
  await writeBundle(options.dataDir, bundle)
}

function serverToken(text: string): JoinToken {
  const token = parseToken(text)
  if (token.user === 'node') throw new UsageError('--token: that is the token of agents; a server joins with the one in <data-dir>/server/token of a server')
  return token
}

/**
 * Asks until it is taken in: whichever of `servers` (`host:port`) answers, else the leader that it names. Rejects with
 * `JOIN_REFUSED` when a person must decide.
 */
export async function askToBeMember(request: MemberRequest, servers: () => readonly string[], asker: Omit<Asker, 'clock' | 'signal'>, deps: JoinDeps): Promise<void> {
  let leader: string | undefined
  let turn = 0
  await retried('this server is not taken in yet', deps, async () => {
    const known = servers()
    const address = leader ?? known[turn++ % Math.max(1, known.length)]
    leader = undefined
    if (address === undefined) throw new CodedError('JOIN_UNREACHABLE', 'no other server is known')
    const { status, value } = await askServer(`https://${address}`, 'POST', MEMBERS_PATH, request, { ...asker, clock: deps.clock, signal: deps.signal })
    if (status === 200) return
    if (status === 409) throw new CodedError('JOIN_REFUSED', messageOf(value))
    if (status === 401 || status === 403) throw new CodedError('JOIN_REFUSED', 'the other servers do not accept this server\'s token: they were given another one; pass the one in <data-dir>/server/token of a server as --token')
    const named = typeof value === 'object' && value !== null ? (value as { leader?: unknown }).leader : undefined
    if (status === 421 && isAddress(named)) leader = named
    throw new CodedError('JOIN_UNREACHABLE', status === 421 ? `${address} does not lead the cluster` : `${address} answered ${status}: ${messageOf(value)}`, { details: { soon: leader !== undefined } })
  })
}

/** Again and again while only something is away. The same problem is told once. */
async function retried<T>(what: string, { clock, random, log, signal }: JoinDeps, attempt: () => Promise<T>): Promise<T> {
  let said = ''
  for (let failures = 1; ; failures++) {
    let waitMs = backoffMs(RETRY, failures, random)
    try {
      return await attempt()
    } catch (error) {
      signal.throwIfAborted()
      if (!hasCode(error, 'JOIN_UNREACHABLE')) throw error
      if (error instanceof CodedError && error.details['soon'] === true) waitMs = NAMED_LEADER_MS
      else {
        const { message } = asError(error)
        if (message !== said && failures > 1) log.warn(`${what}: ${message}; trying again`)
        said = message
      }
    }
    await clock.sleep(waitMs, signal)
  }
}
