/** As much of S3's API as snapshots need: put, get, delete and list objects of one bucket. Own, because the SDKs weigh more than the server. */
import type { IncomingMessage, RequestOptions } from 'node:http'
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { isIP, type LookupFunction } from 'node:net'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { EMPTY_HASH, encodePath, encodeQuery, signedHeaders, type S3Credentials } from './sign.ts'

export interface S3Config {
  /** `host` or `host:port`. */
  endpoint: string
  bucket: string
  /** Before the names of objects, without slashes around it; '': none. */
  folder: string
  region: string
  /** `auto`: in the host name where the endpoint is Amazon's, else in the path. */
  bucketLookup: 'auto' | 'dns' | 'path'
  /** Plain HTTP. */
  insecure: boolean
  /** PEM of the endpoint's authority; undefined: those of the system. */
  ca: string | undefined
  skipSslVerify: boolean
  timeoutMs: number
  credentials: S3Credentials
}

export interface S3Object { key: string; sizeBytes: number; modifiedMs: number }

const TRIES_MAX = 3
const RETRY_MS = 1_000
const ERROR_BYTES_MAX = 64 * 1024
/** A page of a listing: 1,000 objects. */
const LIST_BYTES_MAX = 8 * 1024 * 1024

interface Asking { method: string; key: string; query?: Record<string, string>; file?: string; bodyHash?: string; sizeBytes?: number }

/** Rejects with `S3_UNREACHABLE`, `S3_TIMEOUT`, and `S3_<Code>` of what the storage says (`S3_NoSuchBucket`). */
export class S3Client {
  readonly #config: S3Config
  readonly #clock: Clock

  readonly #lookup: LookupFunction | undefined

  /** `lookup`: how names become addresses; default: the system's way. */
  constructor(config: S3Config, clock: Clock, lookup?: LookupFunction) {
    this.#config = config
    this.#clock = clock
    this.#lookup = lookup
  }

  async put(key: string, file: string): Promise<void> {
    const { size } = await stat(file)
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(file) as AsyncIterable<Buffer>) hash.update(chunk)
    await this.#ask({ method: 'PUT', key, file, sizeBytes: size, bodyHash: hash.digest('hex') }, (answer) => bodyOf(answer, ERROR_BYTES_MAX))
  }

  /** `use` may be called again with the object from its beginning. */
  get<T>(key: string, use: (body: AsyncIterable<Buffer>) => Promise<T>): Promise<T> {
    return this.#ask({ method: 'GET', key }, use)
  }

  async delete(key: string): Promise<void> {
    await this.#ask({ method: 'DELETE', key }, (answer) => bodyOf(answer, ERROR_BYTES_MAX))
  }

  async exists(key: string): Promise<boolean> {
    try {
      await this.#ask({ method: 'HEAD', key }, (answer) => bodyOf(answer, ERROR_BYTES_MAX))
      return true
    } catch (error) {
      if (error instanceof CodedError && error.details['status'] === 404) return false
      throw error
    }
  }

  async list(prefix: string): Promise<S3Object[]> {
    const all: S3Object[] = []
    let token: string | undefined
    do {
      const query = { 'list-type': '2', prefix, ...(token !== undefined && { 'continuation-token': token }) }
      const text = (await this.#ask({ method: 'GET', key: '', query }, (answer) => bodyOf(answer, LIST_BYTES_MAX))).toString()
      for (const [, entry = ''] of text.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)) all.push({ key: element(entry, 'Key') ?? '', sizeBytes: Number(element(entry, 'Size')), modifiedMs: Date.parse(element(entry, 'LastModified') ?? '') })
      token = element(text, 'IsTruncated') === 'true' ? element(text, 'NextContinuationToken') : undefined
    } while (token !== undefined)
    return all
  }

  /** Tries again what may pass by itself; the whole lasts no longer than the timeout. */
  async #ask<T>(asking: Asking, use: (answer: AsyncIterable<Buffer>) => Promise<T>): Promise<T> {
    const late = new AbortController()
    const { timeoutMs, endpoint } = this.#config
    const cancel = this.#clock.after(timeoutMs, () => late.abort(new CodedError('S3_TIMEOUT', `the S3 storage ${endpoint} took longer than ${timeoutMs / 1000} s (--s3-timeout)`)))
    try {
      for (let tries = 1; ; tries++) {
        try {
          return await use(await this.#send(asking, late.signal))
        } catch (error) {
          if (late.signal.aborted) throw asError(late.signal.reason)
          if (tries === TRIES_MAX || !mayPass(error)) throw error instanceof CodedError ? error : new CodedError('S3_UNREACHABLE', `the S3 storage ${endpoint} cannot be reached: ${asError(error).message}`, { cause: error })
          await this.#clock.sleep(RETRY_MS * tries, late.signal)
        }
      }
    } finally {
      cancel()
    }
  }

  async #send({ method, key, query = {}, file, sizeBytes, bodyHash = EMPTY_HASH }: Asking, signal: AbortSignal): Promise<IncomingMessage> {
    const { config, nowMs } = { config: this.#config, nowMs: this.#clock.nowMs() }
    const { host, path } = placeOf(config, key)
    const headers = signedHeaders({ method, host, path, query, bodyHash, headers: { ...(sizeBytes !== undefined && { 'content-length': String(sizeBytes) }) } }, config.credentials, { region: config.region, nowMs })
    const search = encodeQuery(query)
    const [, name = '', port] = /^(.*?)(?::(\d+))?$/.exec(host) ?? []
    const hostname = name.replace(/^\[|\]$/g, '')
    // No agent: a connection that is kept for twelve hours is of no use.
    const options: RequestOptions = { method, hostname, port: port ?? (config.insecure ? 80 : 443), path: `${encodePath(path)}${search === '' ? '' : `?${search}`}`, headers, agent: false, signal, ...(this.#lookup && { lookup: this.#lookup }) }
    const { request } = config.insecure ? await import('node:http') : await import('node:https')
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const asked = request({ ...options, ...(!config.insecure && { ...(config.ca !== undefined && { ca: config.ca }), ...(isIP(hostname) === 0 && { servername: hostname }), rejectUnauthorized: !config.skipSslVerify }) }, resolve)
      asked.on('error', reject)
      if (file === undefined) asked.end()
      else createReadStream(file).on('error', reject).pipe(asked)
    })
    const status = answer.statusCode ?? 0
    if (status >= 200 && status < 300) return answer
    const text = method === 'HEAD' ? '' : (await bodyOf(answer, ERROR_BYTES_MAX)).toString()
    answer.resume()
    const code = element(text, 'Code') ?? `HTTP${status}`
    const message = element(text, 'Message') ?? `HTTP status ${status}`
    throw new CodedError(`S3_${code}`, `the S3 storage ${config.endpoint} refuses ${method} of ${config.bucket}/${key}: ${code}: ${message}${code === 'RequestTimeTooSkewed' ? ` (this machine's clock says ${new Date(nowMs).toISOString()})` : ''}`, { details: { status } })
  }
}

/** The bucket is part of the host name or of the path. */
export function placeOf({ endpoint, bucket, bucketLookup }: Pick<S3Config, 'endpoint' | 'bucket' | 'bucketLookup'>, key: string): { host: string; path: string } {
  // Amazon's certificate covers one label below its own.
  const inHost = bucketLookup === 'dns' || (bucketLookup === 'auto' && /(^|\.)amazonaws\.com(\.cn)?(:\d+)?$/.test(endpoint) && !bucket.includes('.'))
  return inHost ? { host: `${bucket}.${endpoint}`, path: `/${key}` } : { host: endpoint, path: `/${bucket}${key === '' ? '' : `/${key}`}` }
}

function mayPass(error: unknown): boolean {
  if (!(error instanceof CodedError)) return true
  const status = error.details['status']
  return typeof status === 'number' && (status >= 500 || status === 429 || status === 408)
}

async function bodyOf(answer: AsyncIterable<Buffer>, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of answer) {
    size += chunk.length
    if (size > bytesMax) throw new CodedError('S3_ANSWER', `the S3 storage answers with more than ${bytesMax} bytes where that cannot be`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: '\'' }

/** The text of the first such element; S3's answers have no attributes and no nesting of one name. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]
  return text?.replaceAll(/&(?:(lt|gt|amp|quot|apos)|#(\d+)|#x([0-9a-fA-F]+));/g, (_, entity: string | undefined, decimal: string | undefined, hex: string | undefined) => (entity !== undefined ? (ENTITIES[entity] ?? '') : String.fromCodePoint(decimal !== undefined ? Number(decimal) : Number.parseInt(hex ?? '0', 16))))
}
