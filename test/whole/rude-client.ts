/**
 * Sends nonsense to an API server and tells what it answered, one JSON line each: run on a lab host by the test of bad
 * requests. `node rude-client.ts KUBECONFIG`. Bytes are written as they are; no client library gets to mend them.
 */
import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { load } from 'js-yaml'

const file = load(readFileSync(process.argv[2] ?? '', 'utf8')) as { users: { user: Record<string, string> }[] }
const pem = (key: string) => Buffer.from(file.users[0]?.user[key] ?? '', 'base64').toString()
const ADMIN: ConnectionOptions = { host: '127.0.0.1', port: 6443, rejectUnauthorized: false, cert: pem('client-certificate-data'), key: pem('client-key-data') }
const NOBODY: ConnectionOptions = { host: '127.0.0.1', port: 6443, rejectUnauthorized: false }
const ANSWER_MS_MAX = 5_000

interface Request { method?: string; path?: string; headers?: Record<string, string>; body?: string | Buffer; as?: ConnectionOptions }

/** Status 0: the connection was closed without an answer, or nothing came. */
function exchange(options: ConnectionOptions | 'plain', bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0)
    const socket = options === 'plain' ? connectTcp({ host: '127.0.0.1', port: 6443 }) : connectTls(options)
    const done = () => { clearTimeout(timer); socket.destroy(); resolve(received) }
    const timer = setTimeout(done, ANSWER_MS_MAX)
    socket.on('data', (chunk: Buffer) => { received = Buffer.concat([received, chunk]) })
    socket.on('error', done)
    socket.on('close', done)
    socket.on(options === 'plain' ? 'connect' : 'secureConnect', () => socket.write(bytes))
  })
}

async function send(name: string, request: Request): Promise<void> {
  const body = Buffer.from(request.body ?? '')
  const headers = { Host: 'localhost', Connection: 'close', ...(request.body !== undefined && { 'Content-Type': 'application/json', 'Content-Length': String(body.length) }), ...request.headers }
  const head = `${request.method ?? (request.body === undefined ? 'GET' : 'POST')} ${request.path ?? '/api/v1/namespaces/default/configmaps'} HTTP/1.1\r\n${Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`
  tell(name, await exchange(request.as ?? ADMIN, Buffer.concat([Buffer.from(head, 'latin1'), body])))
}

function tell(name: string, answer: Buffer): void {
  const text = answer.toString('utf8')
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const header = (key: string) => [...head.matchAll(new RegExp(`^${key}: (.*?)\\r?$`, 'gim'))].map((m) => m[1] ?? '')
  let body: { reason?: string; message?: string } = {}
  try {
    const raw = rest.join('\r\n\r\n')
    body = JSON.parse(raw.slice(raw.indexOf('{'), raw.lastIndexOf('}') + 1)) as typeof body
  } catch {
    body = { message: rest.join('').slice(0, 200) } // No JSON: shown as it is.
  }
  console.log(JSON.stringify({
    name, status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0), reason: body.reason ?? '', message: body.message ?? '', contentType: header('content-type')[0] ?? '',
    warnings: header('warning').map((w) => /^299 - "(.*)"$/.exec(w)?.[1]?.replaceAll('\\"', '"') ?? w),
  }))
}

const configMap = (name: string, more: object = {}) => JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...more })
const LIST = '/api/v1/namespaces/default/configmaps'
const patch = (type: string, body: string) => ({ method: 'PATCH', path: `${LIST}/kube-root-ca.crt-none`, body, headers: { 'Content-Type': type } })

await send('malformed JSON', { body: '{"apiVersion": "v1", "kind": "ConfigMap", ' })
await send('an empty body', { body: '' })
await send('a body that is a list', { body: '[1,2,3]' })
await send('a body of 4 MiB', { body: configMap('big', { data: { x: 'x'.repeat(4 << 20) } }) })
await send('10,000 levels of nesting', { body: `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"data":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}` })
await send('invalid UTF-8', { body: Buffer.concat([Buffer.from('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"utf"},"data":{"a":"'), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from('"}}')]) })
for (const [name, mode] of [['an unknown field, strict', 'Strict'], ['an unknown field, warn', 'Warn'], ['an unknown field, ignore', 'Ignore']] as const) {
  await send(name, { path: `${LIST}?fieldValidation=${mode}`, body: configMap(`field-${mode.toLowerCase()}`, { spek: 1 }) })
}
await send('a duplicate field, strict', { path: `${LIST}?fieldValidation=Strict`, body: '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"twice"},"data":{},"data":{}}' })
await send('another kind', { body: JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } }) })
await send('another namespace', { body: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'kube-system' } }) })
await send('a bad label selector', { path: `${LIST}?labelSelector=a%20in%20(` })
await send('a bad field selector', { path: `${LIST}?fieldSelector=data.x%3D1` })
await send('a bad continue token', { path: `${LIST}?limit=1&continue=nonsense` })
await send('a bad limit', { path: `${LIST}?limit=many` })
await send('a bad resourceVersion', { path: `${LIST}?resourceVersion=new` })
await send('a bad resourceVersion in a watch', { path: `${LIST}?watch=true&resourceVersion=new` })
await send('an unknown Content-Type', { body: 'x', headers: { 'Content-Type': 'text/plain' } })
await send('an Accept nobody can serve', { headers: { Accept: 'image/png' } })
await send('an unknown patch type', patch('application/json', '{}'))
await send('a setup', { body: configMap('kube-root-ca.crt-none') })
await send('a JSON patch that is none', patch('application/json-patch+json', '{"op":"add"}'))
await send('a JSON patch against what is not there', patch('application/json-patch+json', '[{"op":"replace","path":"/data/x","value":"1"}]'))
await send('an unknown path', { path: '/apis/no/such/thing' })
await send('an unknown resource', { path: '/api/v1/namespaces/default/sprockets' })
await send('a method nobody has', { method: 'PUT', path: LIST, body: configMap('x') })
await send('a name that is none', { body: configMap('Not A Name') })
await send('a wrong type', { body: configMap('typed', { data: 'text' }) })
await send('a bad fieldValidation', { path: `${LIST}?fieldValidation=Maybe`, body: configMap('x') })
await send('a bad dryRun', { path: `${LIST}?dryRun=Some`, body: configMap('x') })
await send('percent signs', { path: '/api/v1/namespaces/%zz/configmaps/%' })
await send('dots in a path', { path: '/api/v1/namespaces/default/configmaps/../../../../../etc/passwd' })
await send('no credentials', { path: '/api/v1/secrets', as: NOBODY })
await send('a wrong bearer token', { path: '/api/v1/secrets', as: NOBODY, headers: { Authorization: 'Bearer nonsense' } })
await send('2 MiB of headers', { headers: { 'X-Long': 'x'.repeat(2 << 20) } })
tell('garbage instead of TLS', await exchange('plain', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')))
tell('garbage inside TLS', await exchange(ADMIN, Buffer.from('\0\x01\x02 nonsense\r\n\r\n\r\n')))
tell('HTTP/2 garbage', await exchange({ ...ADMIN, ALPNProtocols: ['h2'] }, Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff', 'latin1')))

const slow = Array.from({ length: 200 }, () => {
  const socket = connectTls(NOBODY)
  socket.on('error', () => undefined)
  socket.on('secureConnect', () => socket.write('GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: '))
  const drip = setInterval(() => { if (socket.writable) socket.write('x') }, 500)
  socket.on('close', () => clearInterval(drip))
  return socket
})
await Promise.all(slow.map((s) => new Promise((resolve) => s.once('secureConnect', resolve).once('close', resolve))))
await send('beside 200 slow clients', {})
for (const socket of slow) socket.destroy()
