/**
 * An S3 server for tests, faithful where clients notice: it computes each signature anew from the bytes of the request as they
 * came, with code that shares nothing with the client's, refuses what AWS refuses, in its words, and pages its listings.
 */
import { createHash, createHmac } from 'node:crypto'
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttps } from 'node:https'
import type { AddressInfo } from 'node:net'

export interface FakeS3Options {
  bucket: string
  region: string
  keys: Readonly<Record<string, string>>
  sessionToken?: string
  /** Undefined: plain HTTP. */
  tls?: { cert: string; key: string }
  /** What its clock says. */
  nowMs?: () => number
  /** Of a page of a listing. */
  pageMax?: number
  /** How many of the next requests fail, and how. */
  failing?: { count: number; how: 'status 503' | 'hang up' | 'cut body' }
}

export interface FakeS3 { port: number; objects: Map<string, Buffer>; requests: { method: string; url: string; host: string }[]; options: FakeS3Options; close(): Promise<void> }

export async function startFakeS3(options: FakeS3Options): Promise<FakeS3> {
  const objects = new Map<string, Buffer>()
  const requests: FakeS3['requests'] = []
  const serve = (req: IncomingMessage, res: ServerResponse) => {
    const chunks: Buffer[] = []
    req.on('data', (c: Buffer) => chunks.push(c))
    req.on('end', () => {
      const [method, url, host] = [req.method ?? '', req.url ?? '', req.headers.host ?? '']
      requests.push({ method, url, host })
      const { failing } = options
      if (failing && failing.count > 0 && (failing.how !== 'cut body' || method === 'GET')) {
        failing.count--
        if (failing.how === 'hang up') return void req.socket.destroy()
        if (failing.how === 'status 503') return refuse(res, 503, 'SlowDown', 'Please reduce your request rate.')
        res.writeHead(200, { 'content-length': 1_000 })
        res.write('half')
        return void setImmediate(() => req.socket.destroy())
      }
      const body = Buffer.concat(chunks)
      const wrong = whatIsWrong(req, body, options)
      if (wrong) return refuse(res, 403, ...wrong)
      return answer(res, { method, url, host, body }, options, objects)
    })
  }
  const server = options.tls ? createHttps(options.tls, serve) : createHttp(serve)
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return { port: (server.address() as AddressInfo).port, objects, requests, options, close: () => new Promise((resolve) => { server.close(() => resolve()) }) }
}

function whatIsWrong(req: IncomingMessage, body: Buffer, { keys, region, sessionToken, nowMs }: FakeS3Options): [string, string] | undefined {
  const parsed = /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(req.headers.authorization ?? '')
  if (!parsed) return ['AccessDenied', 'Access Denied']
  const [, id = '', day = '', zone = '', names = '', signature = ''] = parsed
  const secret = keys[id]
  if (secret === undefined) return ['InvalidAccessKeyId', 'The AWS Access Key Id you provided does not exist in our records.']
  if (zone !== region) return ['AuthorizationHeaderMalformed', `The authorization header is malformed; the region '${zone}' is wrong; expecting '${region}'`]
  if ((req.headers['x-amz-security-token'] ?? undefined) !== sessionToken) return ['InvalidToken', 'The provided token is malformed or otherwise invalid.']
  const date = String(req.headers['x-amz-date'])
  const when = Date.UTC(+date.slice(0, 4), +date.slice(4, 6) - 1, +date.slice(6, 8), +date.slice(9, 11), +date.slice(11, 13), +date.slice(13, 15))
  if (!date.startsWith(day) || Math.abs(when - (nowMs ?? Date.now)()) > 15 * 60_000) return ['RequestTimeTooSkewed', 'The difference between the request time and the current time is too large.']
  const claimed = String(req.headers['x-amz-content-sha256'])
  if (claimed !== 'UNSIGNED-PAYLOAD' && claimed !== createHash('sha256').update(body).digest('hex')) return ['XAmzContentSHA256Mismatch', 'The provided \'x-amz-content-sha256\' header does not match what was computed.']
  const signed = names.split(';')
  for (const must of ['host', ...Object.keys(req.headers).filter((n) => n.startsWith('x-amz-'))]) if (!signed.includes(must)) return ['AccessDenied', 'There were headers present in the request which were not signed']
  const [path = '', search = ''] = (req.url ?? '').split('?')
  const query = search === '' ? '' : search.split('&').map((p) => (p.includes('=') ? p : `${p}=`)).sort().join('&')
  let canonical = `${req.method ?? ''}\n${path}\n${query}\n`
  for (const name of signed) canonical += `${name}:${String(req.headers[name] ?? '').trim()}\n`
  canonical += `\n${names}\n${claimed}`
  const text = `AWS4-HMAC-SHA256\n${date}\n${day}/${region}/s3/aws4_request\n${createHash('sha256').update(canonical).digest('hex')}`
  let key = createHmac('sha256', `AWS4${secret}`).update(day).digest()
  key = createHmac('sha256', key).update(region).digest()
  key = createHmac('sha256', key).update('s3').digest()
  key = createHmac('sha256', key).update('aws4_request').digest()
  if (createHmac('sha256', key).update(text).digest('hex') !== signature) return ['SignatureDoesNotMatch', 'The request signature we calculated does not match the signature you provided. Check your key and signing method.']
  return undefined
}

function answer(res: ServerResponse, { method, url, host, body }: { method: string; url: string; host: string; body: Buffer }, { bucket, pageMax = 1_000 }: FakeS3Options, objects: Map<string, Buffer>): void {
  const parsed = new URL(url, 'http://s3')
  const path = decodeURIComponent(parsed.pathname).slice(1)
  const inHost = host.startsWith(`${bucket}.`)
  if (!inHost && path !== bucket && !path.startsWith(`${bucket}/`)) return refuse(res, 404, 'NoSuchBucket', 'The specified bucket does not exist')
  const key = inHost ? path : path.slice(bucket.length + 1)
  if (method === 'GET' && key === '') {
    const after = parsed.searchParams.get('continuation-token') ?? ''
    const all = [...objects.keys()].filter((k) => k.startsWith(parsed.searchParams.get('prefix') ?? '') && k > after).sort()
    const page = all.slice(0, pageMax)
    const contents = page.map((k) => `<Contents><Key>${xml(k)}</Key><LastModified>2026-11-21T10:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>${objects.get(k)?.length ?? 0}</Size><StorageClass>STANDARD</StorageClass></Contents>`)
    const more = all.length > page.length
    res.writeHead(200, { 'content-type': 'application/xml' })
    res.end(`<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name><KeyCount>${page.length}</KeyCount><IsTruncated>${String(more)}</IsTruncated>${more ? `<NextContinuationToken>${xml(page.at(-1) ?? '')}</NextContinuationToken>` : ''}${contents.join('')}</ListBucketResult>`)
    return
  }
  const held = objects.get(key)
  switch (method) {
    case 'PUT':
      objects.set(key, body)
      res.writeHead(200, { etag: `"${createHash('md5').update(body).digest('hex')}"` }).end()
      return
    case 'GET': case 'HEAD':
      if (!held) {
        if (method === 'HEAD') res.writeHead(404).end()
        else refuse(res, 404, 'NoSuchKey', 'The specified key does not exist.')
        return
      }
      res.writeHead(200, { 'content-length': held.length })
      res.end(method === 'HEAD' ? undefined : held)
      return
    case 'DELETE':
      objects.delete(key)
      res.writeHead(204).end()
      return
    default: refuse(res, 405, 'MethodNotAllowed', 'The specified method is not allowed against this resource.')
  }
}

function refuse(res: ServerResponse, status: number, code: string, message: string): void {
  res.writeHead(status, { 'content-type': 'application/xml' })
  res.end(`<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${xml(message)}</Message><RequestId>1</RequestId></Error>`)
}

const xml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
