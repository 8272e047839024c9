import assert from 'node:assert/strict'
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import { describe, it } from 'node:test'
import { SignatureV4 } from '@smithy/signature-v4'
import fc from 'fast-check'
import { EMPTY_HASH, encodePath, signedHeaders } from './sign.ts'

/** What Amazon's own client wants of a hash. */
class Sha256 {
  readonly #hash: Hash | Hmac
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', typeof secret === 'string' ? secret : new Uint8Array(ArrayBuffer.isView(secret) ? secret.buffer.slice(secret.byteOffset, secret.byteOffset + secret.byteLength) : secret))
  }

  update(data: Uint8Array): void { this.#hash.update(data) }
  digest(): Promise<Uint8Array> { return Promise.resolve(new Uint8Array(this.#hash.digest())) }
  reset(): void { throw new Error('not asked for') }
}

/** Lower-case names that are signed, and values as a client may send them. */
const headers = fc.dictionary(fc.constantFrom('range', 'x-amz-storage-class', 'x-amz-meta-a', 'content-type', 'if-none-match'), fc.stringMatching(/^[!-~](?:[ -~]{0,20}[!-~])?$/))
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 })
/** Other codings of the same key than the bytes of a string do not exist in a key. */
const request = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'DELETE', 'HEAD'),
  host: fc.constantFrom('b.s3.eu-central-1.amazonaws.com', 'minio:9000', '[fd00::1]:9000'),
  path: fc.array(text.filter((part) => !part.includes('/')), { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`),
  query: fc.dictionary(fc.constantFrom('list-type', 'prefix', 'continuation-token', 'max-keys', 'start-after', 'uploads'), fc.string({ unit: 'binary', maxLength: 12 })),
  headers,
  bodyHash: fc.constantFrom(EMPTY_HASH, createHash('sha256').update('a').digest('hex')),
})
const credentials = fc.record({ accessKey: fc.stringMatching(/^[A-Z0-9]{16,20}$/), secretKey: fc.stringMatching(/^[!-~]{20,40}$/), sessionToken: fc.option(fc.stringMatching(/^[!-~]{10,40}$/), { nil: undefined }) })

describe('signatures of requests to S3', () => {
  it('are those of Amazon\'s own client', async () => {
    await fc.assert(fc.asyncProperty(request, credentials, fc.constantFrom('us-east-1', 'eu-central-1', 'garage'), fc.integer({ min: 1e12, max: 4e12 }), async (asked, keys, region, nowMs) => {
      const signer = new SignatureV4({
        service: 's3', region, sha256: Sha256, uriEscapePath: false, applyChecksum: false,
        credentials: { accessKeyId: keys.accessKey, secretAccessKey: keys.secretKey, ...(keys.sessionToken !== undefined && { sessionToken: keys.sessionToken }) },
      })
      const theirs = await signer.sign({
        method: asked.method, protocol: 'https:', hostname: asked.host, path: encodePath(asked.path), query: { ...asked.query },
        headers: { ...asked.headers, host: asked.host, 'x-amz-content-sha256': asked.bodyHash },
      }, { signingDate: new Date(nowMs) })
      const ours = signedHeaders(asked, keys, { region, nowMs })
      const parts = (header: string | undefined) => header?.replace('AWS4-HMAC-SHA256 ', '').split(/, ?/)
      assert.deepEqual(parts(ours['authorization']), parts(theirs.headers['authorization']))
      for (const name of ['x-amz-date', 'x-amz-security-token', 'x-amz-content-sha256']) assert.equal(ours[name], theirs.headers[name])
    }))
  })

  it('are of a path in which all but unreserved characters are encoded, byte by byte', () => {
    fc.assert(fc.property(request, ({ path }) => {
      const encoded = encodePath(path)
      assert.match(encoded, /^(?:[A-Za-z0-9\-._~/]|%[0-9A-F]{2})+$/)
      assert.equal(decodeURIComponent(encoded), path)
    }))
  })
})
