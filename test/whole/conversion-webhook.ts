/**
 * A conversion webhook as a program: `conversion-webhook.ts ADDRESS PORT DIRECTORY`. v1 of a Door has `hostPort: "a:1"`, v2 has
 * `host` and `port`. DIRECTORY holds tls.crt and tls.key.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'

interface Door { apiVersion: string; spec?: { hostPort?: string; host?: string; port?: string } }
interface Review { request: { uid: string; desiredAPIVersion: string; objects: Door[] } }

const [address = '', port = '', directory = ''] = process.argv.slice(2)
const file = (name: string) => readFileSync(join(directory, name))

function convert(door: Door, apiVersion: string): Door {
  const { hostPort = ':', host = '', port: number = '' } = door.spec ?? {}
  if (apiVersion.endsWith('/v1')) return { ...door, apiVersion, spec: { hostPort: `${host}:${number}` } }
  const [first = '', second = ''] = hostPort.split(':')
  return { ...door, apiVersion, spec: { host: first, port: second } }
}

const server = createServer({ cert: file('tls.crt'), key: file('tls.key') }, (req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    const { request } = JSON.parse(Buffer.concat(chunks).toString()) as Review
    const response = { uid: request.uid, result: { status: 'Success' }, convertedObjects: request.objects.map((door) => convert(door, request.desiredAPIVersion)) }
    res.setHeader('content-type', 'application/json')
    res.end(JSON.stringify({ kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1', response }))
  })
})
server.listen(Number(port), address, () => console.log('serving'))
