/**
 * A client of the OCI distribution API for one image reference: resolves names, fetches manifests, downloads blobs.
 * Tries each endpoint (mirrors first); keeps what it learnt about authorization for as long as the pull lasts.
 */
import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { createReadStream, readFileSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Clock } from '#base/clock.ts'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import type { RegistryAuth } from '../runtime.ts'
import { exchange, readBody } from './http-exchange.ts'
import type { Answer, TlsSettings } from './http-exchange.ts'
import { MANIFEST_TYPES } from './manifest.ts'
import type { Descriptor } from './manifest.ts'
import { formatReference } from './reference.ts'
import type { Reference } from './reference.ts'
import { configFor, credentialsFor, endpointsFor } from './registries-config.ts'
import type { Endpoint, RegistriesConfig } from './registries-config.ts'
import { answerChallenge, basicAuthorization, parseChallenge } from './registry-auth.ts'

export interface RegistryClientOptions {
  ref: Reference
  registries: RegistriesConfig
  auth: RegistryAuth | undefined
  clock: Clock
  /** Silence on a connection for this long is a failure. */
  stallMs: number
  signal?: AbortSignal
}

export interface Resolved { digest: string; mediaType: string | undefined; /** When the registry had to be asked for the body anyway. */ bytes?: Buffer }

/** What is in the file already, hashed. */
interface Seen { hash: Hash; bytes: number }

const MANIFEST_BYTES_MAX = 4 << 20
const DENIED = 'pull access denied, repository does not exist or may require authorization'
/** In a row without one new byte; any progress starts the count again. */
const BLOB_ATTEMPTS_MAX = 4
const RETRY_BASE_MS = 200

export class RegistryClient {
  readonly #options: RegistryClientOptions
  readonly #endpoints: Endpoint[]
  #working: Endpoint | undefined
  readonly #authorization = new Map<string, string>()

  constructor(options: RegistryClientOptions) {
    this.#options = options
    this.#endpoints = endpointsFor(options.ref, options.registries)
  }

  /** The digest behind the reference. */
  resolve(): Promise<Resolved> {
    const { ref } = this.#options
    const name = ref.digest ?? ref.tag ?? 'latest'
    return this.#eachEndpoint(async (endpoint) => {
      const head = await this.#send(endpoint, 'HEAD', `manifests/${name}`, { Accept: MANIFEST_TYPES.join(', ') })
      head.body.resume()
      const digest = ref.digest ?? single(head.headers['docker-content-digest'])
      if (head.status === 200 && digest !== undefined) return { digest, mediaType: head.headers['content-type'] }
      if (head.status === 404) throw this.#notFound()
      // Some registries refuse HEAD or leave the digest out.
      const got = await this.#getManifest(endpoint, name)
      return { ...got, digest: `sha256:${createHash('sha256').update(got.bytes).digest('hex')}` }
    })
  }

  /** The manifest, index or config with this digest, verified. */
  fetchManifest(digest: string): Promise<{ bytes: Buffer; mediaType: string | undefined }> {
    return this.#eachEndpoint(async (endpoint) => {
      const got = await this.#getManifest(endpoint, digest)
      expectDigest(got.bytes, digest)
      return got
    })
  }

  /** A small blob (an image config) in memory, verified. */
  fetchSmallBlob(blob: Descriptor): Promise<Buffer> {
    if (blob.sizeBytes > MANIFEST_BYTES_MAX) return Promise.reject(new CodedError('CRI_PULL_FAILED', `image config of ${blob.sizeBytes} bytes is larger than ${MANIFEST_BYTES_MAX}`))
    return this.#eachEndpoint(async (endpoint) => {
      const answer = await this.#send(endpoint, 'GET', `blobs/${blob.digest}`, {})
      await this.#expectOk(answer, 'GET')
      const bytes = await readBody(answer.body, MANIFEST_BYTES_MAX, `blob ${blob.digest}`)
      expectDigest(bytes, blob.digest)
      return bytes
    })
  }

  /**
   * Downloads into `path`, going on where a file left by an earlier attempt ends. Resolves once the digest is verified;
   * a file with the wrong digest is emptied before this rejects, so that the next attempt starts over.
   */
  async downloadBlob(blob: Descriptor, path: string, onBytes: (doneBytes: number) => void): Promise<void> {
    const seen: Seen = { hash: createHash('sha256'), bytes: 0 }
    await this.#eachEndpoint(async (endpoint) => {
      let failures = 0
      for (;;) {
        const before = await sizeOf(path)
        try {
          await this.#appendBlob(endpoint, blob, path, seen, onBytes)
          break
        } catch (error) {
          if (isFinal(error) || this.#options.signal?.aborted) throw error
          const hasGrown = await sizeOf(path) > before
          failures = hasGrown ? 1 : failures + 1
          // Silence from the first to the last moment of an attempt has been waited for long enough: the pod is to say so.
          if (failures >= BLOB_ATTEMPTS_MAX || (!hasGrown && hasCode(error, 'CRI_TIMEOUT'))) throw error
          await this.#options.clock.sleep(RETRY_BASE_MS * 2 ** failures, this.#options.signal)
        }
      }
      await this.#verify(blob, path, seen)
    })
  }

  async #appendBlob(endpoint: Endpoint, blob: Descriptor, path: string, seen: Seen, onBytes: (doneBytes: number) => void): Promise<void> {
    const file = await open(path, 'a')
    try {
      let done = (await file.stat()).size
      if (done !== seen.bytes) await rehash(path, seen)
      if (done === blob.sizeBytes) return
      const answer = await this.#send(endpoint, 'GET', `blobs/${blob.digest}`, done > 0 ? { Range: `bytes=${done}-` } : {})
      if (done > 0 && answer.status === 200) {
        // No ranges here: the body starts from the beginning again.
        await file.truncate(0)
        done = seen.bytes = 0
        seen.hash = createHash('sha256')
      } else if (done > 0 && answer.status === 206 && !(answer.headers['content-range'] ?? '').startsWith(`bytes ${done}-`)) {
        answer.body.destroy()
        throw new CodedError('CRI_PULL_FAILED', `registry answered with the wrong range of blob ${blob.digest}`)
      } else if (answer.status !== 206) await this.#expectOk(answer, 'GET')
      for await (const chunk of answer.body) {
        done += (chunk as Buffer).length
        if (done > blob.sizeBytes) {
          answer.body.destroy()
          await file.truncate(0)
          throw new CodedError('CRI_PULL_FAILED', `blob ${blob.digest} is longer than the ${blob.sizeBytes} bytes its manifest says`, { details: { final: true } })
        }
        await writeAll(file, chunk as Buffer)
        seen.hash.update(chunk as Buffer)
        seen.bytes = done
        onBytes(done)
      }
      if (done < blob.sizeBytes) throw new CodedError('CRI_PULL_FAILED', `connection closed after ${done} of ${blob.sizeBytes} bytes of blob ${blob.digest}`)
    } finally {
      await file.close()
    }
  }

  async #verify(blob: Descriptor, path: string, seen: Seen): Promise<void> {
    const actual = `sha256:${seen.hash.digest('hex')}`
    Object.assign(seen, { hash: createHash('sha256'), bytes: 0 })
    if (actual === blob.digest) return
    const file = await open(path, 'w')
    await file.close()
    throw new CodedError('CRI_PULL_FAILED', `failed commit on ref "layer-${blob.digest}": unexpected commit digest ${actual}, expected ${blob.digest}: failed precondition`, { details: { final: true } })
  }

  async #getManifest(endpoint: Endpoint, name: string): Promise<{ bytes: Buffer; mediaType: string | undefined }> {
    const answer = await this.#send(endpoint, 'GET', `manifests/${name}`, { Accept: MANIFEST_TYPES.join(', ') })
    await this.#expectOk(answer, 'GET')
    return { bytes: await readBody(answer.body, MANIFEST_BYTES_MAX, 'manifest'), mediaType: answer.headers['content-type'] }
  }

  /** The first endpoint that works; when none does, the last one's error, as it is the registry itself. */
  async #eachEndpoint<T>(work: (endpoint: Endpoint) => Promise<T>): Promise<T> {
    let last: unknown
    for (const endpoint of this.#inOrder()) {
      try {
        const result = await work(endpoint)
        this.#working = endpoint
        return result
      } catch (error) {
        if (this.#options.signal?.aborted || hasCode(error, 'ENOSPC')) throw error
        last = error
      }
    }
    throw last
  }

  /** Once one has answered, a pull stays with it instead of asking a broken mirror for every part. */
  #inOrder(): Endpoint[] {
    const working = this.#working
    return working ? [working, ...this.#endpoints.filter((endpoint) => endpoint !== working)] : this.#endpoints
  }

  /** With authorization; on 401 answers the challenge and asks once more. */
  async #send(endpoint: Endpoint, method: 'GET' | 'HEAD', path: string, headers: Record<string, string>): Promise<Answer> {
    const { stallMs, signal, registries } = this.#options
    const suffix = endpoint.mirrorOf === undefined ? '' : `?ns=${encodeURIComponent(endpoint.mirrorOf)}`
    const url = `${endpoint.baseUrl}/${endpoint.repository}/${path}${suffix}`
    const tls = tlsSettings(endpoint.host, registries)
    const auth = credentialsFor(endpoint, this.#options.auth, registries)
    const ask = () => {
      const authorization = this.#authorization.get(endpoint.baseUrl)
      return exchange({ method, url, headers: { ...headers, ...(authorization !== undefined && { Authorization: authorization }) }, stallMs, ...(signal && { signal }), ...(tls && { tls }) })
    }
    const first = await ask().catch((error: unknown) => {
      throw error instanceof CodedError || signal?.aborted ? error : new CodedError('CRI_PULL_FAILED', `failed to do request: ${asError(error).message}`, { cause: error })
    })
    if (first.status !== 401) return first
    first.body.resume()
    const challenge = parseChallenge(single(first.headers['www-authenticate']))
    if (!challenge) {
      if (!auth?.username || this.#authorization.has(endpoint.baseUrl)) return first
      this.#authorization.set(endpoint.baseUrl, basicAuthorization(auth))
      return ask()
    }
    try {
      this.#authorization.set(endpoint.baseUrl, await answerChallenge(challenge, { auth, repository: endpoint.repository, tlsFor: (host) => tlsSettings(host, registries), stallMs, ...(signal && { signal }) }))
    } catch (error) {
      if (hasCode(error, 'CRI_TIMEOUT')) throw error
      throw new CodedError('CRI_PULL_FAILED', `${DENIED}: ${asError(error).message}`, { cause: error, details: { final: true } })
    }
    return ask()
  }

  async #expectOk(answer: Answer, method: string): Promise<void> {
    if (answer.status === 200) return
    const body = await readBody(answer.body, MANIFEST_BYTES_MAX, 'error answer').catch(() => Buffer.alloc(0))
    if (answer.status === 404) throw this.#notFound()
    const said = registryMessage(body)
    if (answer.status === 401 || answer.status === 403) {
      throw new CodedError('CRI_PULL_FAILED', `${DENIED}: ${said ? `server message: ${said}: ` : ''}authorization failed (${answer.status} unauthorized)`, { details: { final: true } })
    }
    const url = new URL(answer.url)
    throw new CodedError('CRI_PULL_FAILED', `unexpected status from ${method} request to ${url.origin}${url.pathname}: ${answer.status}${said ? `: ${said}` : ''}`, { details: { final: answer.status < 500 && answer.status !== 429 } })
  }

  #notFound(): CodedError {
    return new CodedError('CRI_IMAGE_NOT_FOUND', `${formatReference(this.#options.ref)}: not found`, { details: { final: true } })
  }
}

function expectDigest(bytes: Buffer, digest: string): void {
  const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (actual !== digest) throw new CodedError('CRI_PULL_FAILED', `failed size or digest validation: unexpected digest ${actual}, expected ${digest}`, { details: { final: true } })
}

/** Asking again would not help. */
function isFinal(error: unknown): boolean {
  return hasCode(error, 'ENOSPC') || (error instanceof CodedError && error.details.final === true)
}

function registryMessage(body: Buffer): string {
  try {
    const parsed = JSON.parse(body.toString()) as { errors?: { code?: unknown; message?: unknown }[] } | null
    const first = parsed?.errors?.[0]
    return [first?.code, first?.message].filter((part) => typeof part === 'string').join(': ').slice(0, 300)
  } catch {
    // Proxies answer in HTML: the status says enough.
    return ''
  }
}

function tlsSettings(host: string, registries: RegistriesConfig): TlsSettings | undefined {
  const tls = configFor(host, registries)?.tls
  if (!tls) return undefined
  const read = (path: string) => {
    try {
      return readFileSync(path)
    } catch (error) {
      throw new CodedError('CRI_PULL_FAILED', `registries.yaml: cannot read ${path} for ${host}: ${asError(error).message}`, { cause: error })
    }
  }
  return {
    ...(tls.ca_file !== undefined && { ca: read(tls.ca_file) }),
    ...(tls.cert_file !== undefined && { cert: read(tls.cert_file) }),
    ...(tls.key_file !== undefined && { key: read(tls.key_file) }),
    ...(tls.insecure_skip_verify && { rejectUnauthorized: false }),
  }
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

async function rehash(path: string, seen: Seen): Promise<void> {
  seen.hash = createHash('sha256')
  seen.bytes = 0
  for await (const chunk of createReadStream(path)) {
    seen.hash.update(chunk as Buffer)
    seen.bytes += (chunk as Buffer).length
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0
    throw error
  }
}

async function writeAll(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let done = 0; done < chunk.length;) done += (await file.write(chunk, done, chunk.length - done)).bytesWritten
}
