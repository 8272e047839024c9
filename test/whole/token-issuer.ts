/** An OpenID Connect issuer for a lab host: `node token-issuer.ts PORT CERT KEY JWKS`. It serves discovery and its keys; tokens are signed by the test. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

const [port = '', cert = '', key = '', jwks = ''] = process.argv.slice(2)
const issuer = `https://127.0.0.1:${port}`
createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
  response.setHeader('content-type', 'application/json')
  if (request.url === '/.well-known/openid-configuration') response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }))
  else if (request.url === '/keys') response.end(readFileSync(jwks))
  else response.writeHead(404).end()
}).listen(Number(port), '127.0.0.1', () => process.stdout.write('listening\n'))
