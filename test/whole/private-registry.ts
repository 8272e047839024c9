/**
 * A registry that wants to know who asks, for a lab host: `node private-registry.ts PORT UPSTREAM JWKS AUDIENCE FIXED`. It lets in tokens of service
 * accounts (as passwords of `token`), held against the cluster's keys, and the password FIXED; what it has is UPSTREAM's. It prints who was let in.
 */
import { readFileSync } from 'node:fs'
import { createServer, request as ask } from 'node:http'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'

const [port = '', upstream = '', jwks = '', audience = '', fixed = ''] = process.argv.slice(2)

createServer((request, response) => {
  void whoIs(request.headers.authorization).then((who) => {
    if (who === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="private"', 'content-type': 'application/json' }).end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
      return
    }
    process.stdout.write(`${who} ${request.url ?? ''}\n`)
    const { authorization: _, host: __, ...headers } = request.headers
    ask(`${upstream}${request.url ?? ''}`, { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    }).on('error', () => response.destroy()).end()
  })
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'))

async function whoIs(authorization: string | undefined): Promise<string | undefined> {
  const [user, password = ''] = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64').toString().split(/:(.*)/s)
  if (user === 'fixed' && password === fixed) return 'fixed'
  if (user !== 'token') return undefined
  try {
    return (await jwtVerify(password, createLocalJWKSet(JSON.parse(readFileSync(jwks, 'utf8')) as JSONWebKeySet), { audience })).payload.sub
  } catch {
    return undefined // It is refused, whatever is wrong with it.
  }
}
