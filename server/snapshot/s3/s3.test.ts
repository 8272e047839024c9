import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import { snapshotStorageContract } from '../snapshot-storage.contract.ts'
import { placeOf, type S3Config } from './s3-client.ts'
import { startFakeS3, type FakeS3, type FakeS3Options } from './s3-server.test-support.ts'
import { s3Storage } from './s3-storage.ts'
import { EMPTY_HASH, signedHeaders } from './sign.ts'

const KEYS = { AKIAEXAMPLE: 'a/secret+key' }
const SERVER: FakeS3Options = { bucket: 'backups', region: 'eu-central-1', keys: KEYS }

const configFor = (server: FakeS3, more: Partial<S3Config> = {}): S3Config => ({
  endpoint: `127.0.0.1:${server.port}`, bucket: 'backups', folder: 'home/shed', region: 'eu-central-1', bucketLookup: 'auto', insecure: true, ca: undefined, skipSslVerify: false, timeoutMs: 10_000,
  credentials: { accessKey: 'AKIAEXAMPLE', secretKey: 'a/secret+key' }, ...more,
})

snapshotStorageContract('s3', async () => {
  const server = await startFakeS3({ ...SERVER, pageMax: 2 })
  return { storage: s3Storage(configFor(server), systemClock), cleanUp: () => server.close() }
})

async function withServer(options: Partial<FakeS3Options>, run: (server: FakeS3, directory: string) => Promise<void>): Promise<void> {
  const server = await startFakeS3({ ...SERVER, ...options })
  const directory = mkdtempSync(join(tmpdir(), 'skiff-s3-'))
  try {
    await run(server, directory)
  } finally {
    await server.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

describe('signatures', () => {
  /** The examples of "Signature Calculations for the Authorization Header" in Amazon's documentation of S3. */
  const credentials = { accessKey: 'AKIAIOSFODNN7EXAMPLE', secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }
  const when = { region: 'us-east-1', nowMs: Date.parse('2013-05-24T00:00:00Z') }
  const host = 'examplebucket.s3.amazonaws.com'
  const cases = [
    ['get an object', { method: 'GET', path: '/test.txt', query: {}, headers: { range: 'bytes=0-9' }, bodyHash: EMPTY_HASH }, 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41'],
    ['put an object', { method: 'PUT', path: '/test$file.text', query: {}, headers: { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' }, bodyHash: createHash('sha256').update('Welcome to Amazon S3.').digest('hex') }, '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd'],
    ['get the lifecycle of a bucket', { method: 'GET', path: '/', query: { lifecycle: '' }, headers: {}, bodyHash: EMPTY_HASH }, 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
    ['list objects', { method: 'GET', path: '/', query: { 'max-keys': '2', prefix: 'J' }, headers: {}, bodyHash: EMPTY_HASH }, '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
  ] as const
  for (const [name, request, signature] of cases) {
    it(`are Amazon's: ${name}`, () => assert.match(signedHeaders({ ...request, host }, credentials, when)['authorization'] ?? '', new RegExp(`,Signature=${signature}$`)))
  }
})

describe('where a bucket is', () => {
  it('in the host name at Amazon and where that is asked for, else in the path', () => {
    const at = (endpoint: string, bucketLookup: S3Config['bucketLookup'], bucket = 'b') => Object.values(placeOf({ endpoint, bucket, bucketLookup }, 'k')).join(' ')
    assert.deepEqual([at('s3.amazonaws.com', 'auto'), at('s3.eu-central-1.amazonaws.com', 'auto'), at('s3.amazonaws.com', 'auto', 'with.dots'), at('s3.amazonaws.com', 'path'), at('minio:9000', 'auto'), at('minio:9000', 'dns'), at('notamazonaws.com', 'auto')], [
      'b.s3.amazonaws.com /k', 'b.s3.eu-central-1.amazonaws.com /k', 's3.amazonaws.com /with.dots/k', 's3.amazonaws.com /b/k', 'minio:9000 /b/k', 'b.minio:9000 /k', 'notamazonaws.com /b/k',
    ])
  })
})

describe('S3 storage', () => {
  const NAME = 'on-demand-h1-1795266303'

  it('tells in the storage\'s own words what it refuses, and never the key', async () => {
    await withServer({}, async (server, directory) => {
      const file = join(directory, 'f')
      writeFileSync(file, 'x')
      const put = (more: Partial<S3Config>) => s3Storage(configFor(server, more), systemClock).put(NAME, file)
      const cases: [Partial<S3Config>, string, RegExp][] = [
        [{ credentials: { accessKey: 'AKIAEXAMPLE', secretKey: 'wrong-one' } }, 'S3_SignatureDoesNotMatch', /Check your key/],
        [{ credentials: { accessKey: 'AKIANOBODY', secretKey: 'wrong-one' } }, 'S3_InvalidAccessKeyId', /does not exist in our records/],
        [{ region: 'us-east-1' }, 'S3_AuthorizationHeaderMalformed', /expecting 'eu-central-1'/],
        [{ bucket: 'other' }, 'S3_NoSuchBucket', /refuses PUT of other\/home\/shed\/on-demand/],
      ]
      for (const [more, code, says] of cases) await assert.rejects(put(more), (e: Error) => hasCode(e, code) && says.test(e.message) && !/wrong-one|secret\+key/.test(e.message))
      assert.equal(server.objects.size, 0)
    })
  })

  it('says so when this machine\'s clock is the reason', async () => {
    await withServer({ nowMs: () => Date.now() + 3_600_000 }, async (server) => {
      await assert.rejects(s3Storage(configFor(server), systemClock).list(), (e: Error) => hasCode(e, 'S3_RequestTimeTooSkewed') && /this machine's clock says 20/.test(e.message))
    })
  })

  it('sends the session token of temporary credentials, signed', async () => {
    await withServer({ sessionToken: 'token/of+today' }, async (server) => {
      assert.deepEqual(await s3Storage(configFor(server, { credentials: { accessKey: 'AKIAEXAMPLE', secretKey: 'a/secret+key', sessionToken: 'token/of+today' } }), systemClock).list(), [])
      await assert.rejects(s3Storage(configFor(server), systemClock).list(), (e) => hasCode(e, 'S3_InvalidToken'))
    })
  })

  for (const how of ['status 503', 'hang up', 'cut body'] as const) {
    it(`tries again after a failure that may pass: ${how}`, async () => {
      await withServer({}, async (server, directory) => {
        const [file, back] = [join(directory, 'f'), join(directory, 'back')]
        writeFileSync(file, 'contents')
        const storage = s3Storage(configFor(server), systemClock)
        await storage.put(NAME, file)
        server.options.failing = { count: 1, how }
        await storage.get(NAME, back)
        assert.equal(readFileSync(back, 'utf8'), 'contents')
        assert.equal((statSync(back).mode & 0o777).toString(8), '600')
      })
    })
  }

  it('gives up after a while and names the storage', async () => {
    await withServer({}, async (server) => {
      server.options.failing = { count: 100, how: 'hang up' }
      await assert.rejects(s3Storage(configFor(server), systemClock).list(), (e: Error) => hasCode(e, 'S3_UNREACHABLE') && e.message.includes(`127.0.0.1:${server.port}`))
      assert.equal(server.requests.length, 3)
      await assert.rejects(s3Storage(configFor(server, { timeoutMs: 300 }), systemClock).list(), (e: Error) => hasCode(e, 'S3_TIMEOUT') && /--s3-timeout/.test(e.message))
    })
  })

  it('finds a bucket by host name, and signs that name', async () => {
    await withServer({}, async (server) => {
      const looked: string[] = []
      const storage = s3Storage(configFor(server, { endpoint: `s3.example.com:${server.port}`, bucketLookup: 'dns' }), systemClock, (name, options, done) => {
        looked.push(name)
        if (options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
        else done(null, '127.0.0.1', 4)
      })
      assert.deepEqual(await storage.list(), [])
      assert.deepEqual([looked, server.requests[0]], [['backups.s3.example.com'], { method: 'GET', url: '/?list-type=2&prefix=home%2Fshed%2F', host: `backups.s3.example.com:${server.port}` }])
    })
  })
})
