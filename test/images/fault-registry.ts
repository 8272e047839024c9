/** A registry on loopback that does as it is told, wrong things above all. */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { blobsOf } from './build-image.ts'
import type { BuiltImage } from './build-image.ts'

export interface FaultRegistry {
  host: string
  /** `METHOD path` of each request, in order. */
  requests: string[]
  headers: IncomingMessage['headers'][]
  close(): Promise<void>
}

/** Returns true when it has answered (or means never to); otherwise the image is served as it is. */
export type Fault = (request: IncomingMessage, response: ServerResponse, host: string) => boolean

/** Serves `image` under any repository and tag. */
export async function startFaultRegistry(image: BuiltImage, fault: Fault): Promise<FaultRegistry> {
  const blobs = new Map(blobsOf(image).map((blob) => [blob.digest, blob.bytes]))
  const requests: string[] = []
  const headers: IncomingMessage['headers'][] = []
  let host = ''
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    headers.push(request.headers)
    if (fault(request, response, host)) return
    const [, kind, name = ''] = /\/(manifests|blobs)\/([^/?]+)/.exec(request.url ?? '') ?? []
    const bytes = kind === 'manifests' && !name.startsWith('sha256:') ? image.manifest : blobs.get(name)
    if (!kind || !bytes) return void response.writeHead(404).end(JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }))
    serve(request, response, bytes, kind === 'manifests' ? { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json', 'Docker-Content-Digest': name.startsWith('sha256:') ? name : image.manifestDigest } : {})
  })
  host = await listen(server)
  return {
    host, requests, headers,
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
}

/** With ranges. */
export function serve(request: IncomingMessage, response: ServerResponse, bytes: Buffer, headers: Record<string, string>): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  response.writeHead(from > 0 ? 206 : 200, { ...headers, 'Content-Length': bytes.length - from, ...(from > 0 && { 'Content-Range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }) })
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(from))
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(`127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`)
    })
  })
}
