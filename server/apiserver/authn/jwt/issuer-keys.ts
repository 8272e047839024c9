/**
 * The public keys of an issuer (OpenID Connect Discovery): its document and key set are fetched when the first token asks, kept,
 * and fetched again when a token names a key that is not among them.
 */
import type { IncomingMessage } from 'node:http'
import type { JSONWebKeySet } from 'jose'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { parseBoundedJson, targetOf, type HttpsPool } from '../../webhook-client/index.ts'
import type { JwtIssuerConfig } from './authentication-config.ts'

export interface IssuerKeys {
  /** As last fetched; fetches them when there are none yet. Rejects with `ISSUER_UNREACHABLE`. */
  current(): Promise<JSONWebKeySet>
  /** Fetches them again, unless that has just been done. */
  refresh(): Promise<JSONWebKeySet>
}

const ANSWER_BYTES_MAX = 1024 * 1024
const TIMEOUT_MS = 30_000
/** Tokens with made-up key ids must not make the issuer busy. */
const REFRESH_MS_MIN = 1_000
/** After a failure, tokens are refused without asking for so long. */
const RETRY_MS = 1_000

/** Is told how each fetch of a key set went. */
export interface FetchListener { fetched(keySet: Buffer): void; failed(): void }

const NOBODY: FetchListener = { fetched() { /* nobody asks */ }, failed() { /* nobody asks */ } }

interface State { jwksUrl?: string; keys?: JSONWebKeySet; fetchedMs: number; fetching?: Promise<JSONWebKeySet> | undefined; failure?: { error: Error; untilMs: number } | undefined }

export function createIssuerKeys({ url, discoveryUrl, ca }: Pick<JwtIssuerConfig, 'url' | 'discoveryUrl' | 'ca'>, pool: HttpsPool, clock: Clock, told = NOBODY): IssuerKeys {
  const state: State = { fetchedMs: 0 }

  const get = async (from: string): Promise<{ body: Buffer; value: object }> => {
    const body = await fetchBytes(from, { ca, pool, clock })
    try {
      const value = parseBoundedJson(body)
      if (typeof value === 'object' && value !== null) return { body, value }
    } catch (error) {
      throw unreachable(from, asError(error).message, error)
    }
    throw unreachable(from, 'the answer is no JSON object')
  }

  const discover = async (): Promise<string> => {
    const { value } = await get(discoveryUrl ?? `${url.replace(/\/$/, '')}/.well-known/openid-configuration`)
    const document = value as { issuer?: unknown; jwks_uri?: unknown }
    if (document.issuer !== url) throw new CodedError('ISSUER_UNREACHABLE', `oidc: issuer did not match the issuer returned by provider, expected ${JSON.stringify(url)} got ${JSON.stringify(document.issuer ?? '')}`)
    if (typeof document.jwks_uri !== 'string' || URL.parse(document.jwks_uri)?.protocol !== 'https:') throw new CodedError('ISSUER_UNREACHABLE', `the discovery document of ${url} names no https jwks_uri`)
    return document.jwks_uri
  }

  const fetchSet = async (from: string): Promise<JSONWebKeySet> => {
    try {
      const { body, value } = await get(from)
      if (!('keys' in value) || !Array.isArray(value.keys)) throw new CodedError('ISSUER_UNREACHABLE', `${from} is no key set`)
      told.fetched(body)
      return { keys: value.keys as JSONWebKeySet['keys'] }
    } catch (error) {
      told.failed()
      throw error
    }
  }

  const fetchKeys = async (): Promise<JSONWebKeySet> => {
    try {
      state.keys = await fetchSet(state.jwksUrl ??= await discover())
      state.fetchedMs = clock.monotonicMs()
      return state.keys
    } catch (error) {
      state.failure = { error: asError(error), untilMs: clock.monotonicMs() + RETRY_MS }
      throw error
    } finally {
      state.fetching = undefined
    }
  }

  const fetchOnce = (): Promise<JSONWebKeySet> => {
    if (state.failure && state.failure.untilMs > clock.monotonicMs()) return Promise.reject(state.failure.error)
    state.failure = undefined
    return (state.fetching ??= fetchKeys())
  }

  return {
    current: () => (state.keys ? Promise.resolve(state.keys) : fetchOnce()),
    refresh: () => (state.keys && clock.monotonicMs() - state.fetchedMs < REFRESH_MS_MIN ? Promise.resolve(state.keys) : fetchOnce()),
  }
}

/** What an issuer answers to GET, if it is success. Rejects with `ISSUER_UNREACHABLE`. */
export async function fetchBytes(from: string, { ca, pool, clock, headers = {} }: { ca: string | undefined; pool: HttpsPool; clock: Clock; headers?: Readonly<Record<string, string>> }): Promise<Buffer> {
  const signal = new AbortController()
  const cancel = clock.after(TIMEOUT_MS, () => signal.abort())
  try {
    const { target, path } = targetOf({ url: from, ...(ca !== undefined && { caBundle: Buffer.from(ca).toString('base64') }) })
    const answer = await pool.request(target, { method: 'GET', path: `${path}${new URL(from).search}`, headers: { accept: 'application/json', 'user-agent': 'kube-apiserver', ...headers }, signal: signal.signal })
    const body = await read(answer)
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${body.toString('utf8', 0, 200)}`)
    return body
  } catch (error) {
    throw unreachable(from, signal.signal.aborted ? 'context deadline exceeded' : asError(error).message, error)
  } finally {
    cancel()
  }
}

const unreachable = (from: string, why: string, cause?: unknown): CodedError => new CodedError('ISSUER_UNREACHABLE', `Get ${JSON.stringify(from)}: ${why}`, { cause })

async function read(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > ANSWER_BYTES_MAX) {
      answer.destroy()
      throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
