/** The joiner's side: a request to another server over a connection that trusts nothing but the cluster's CA, with the server token. */
import { request as httpsRequest } from 'node:https'
import { API_SERVER_NAME, parseServerUrl } from '#api/join/probe.ts'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { BUNDLE_BYTES_MAX } from './join-bundle.ts'

export interface Asker {
  /** PEM. */
  ca: string
  /** What goes into the Authorization header: `server:<secret>`. */
  bearer: string
  clock: Clock
  signal: AbortSignal
}

const ANSWER_MS_MAX = 15_000

/** Rejects with `JOIN_UNREACHABLE`. `url`: `https://host:port`. The value is JSON, or undefined. */
export function askServer(url: string, method: 'GET' | 'POST', path: string, body: unknown, asker: Asker): Promise<{ status: number; value: unknown }> {
  const { host, port } = parseServerUrl(url)
  return new Promise((resolve, reject) => {
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const fail = (why: string, cause?: unknown) => {
      cancel()
      asker.signal.removeEventListener('abort', onAbort)
      request.destroy()
      reject(new CodedError('JOIN_UNREACHABLE', `${url} ${why}`, { cause }))
    }
    const headers: Record<string, string> = { authorization: `Bearer ${asker.bearer}`, accept: 'application/json', ...(sent && { 'content-type': 'application/json', 'content-length': String(sent.length) }) }
    const request = httpsRequest({
      host, port, method, path, servername: API_SERVER_NAME, ca: asker.ca, agent: false,
      headers,
    }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > 2 * BUNDLE_BYTES_MAX) fail('sends more than any server would')
        else chunks.push(chunk)
      })
      response.on('error', (error) => fail(`broke off its answer: ${error.message}`, error))
      response.on('end', () => {
        cancel()
        asker.signal.removeEventListener('abort', onAbort)
        resolve({ status: response.statusCode ?? 0, value: parsed(Buffer.concat(chunks)) })
      })
    })
    const cancel = asker.clock.after(ANSWER_MS_MAX, () => fail(`did not answer within ${ANSWER_MS_MAX / 1000} s`))
    const onAbort = () => fail('was not asked any more: stopping')
    asker.signal.addEventListener('abort', onAbort, { once: true })
    request.on('error', (error) => fail(`cannot be reached: ${error.message}`, error))
    request.end(sent)
  })
}

function parsed(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown
  } catch {
    // Something that stands between, perhaps: the status says enough.
    return undefined
  }
}

/** The sentence of a Status. */
export function messageOf(value: unknown): string {
  const message = typeof value === 'object' && value !== null ? (value as { message?: unknown }).message : undefined
  return typeof message === 'string' ? message : 'no reason was given'
}
