/** A real registry for tests: Debian's docker-registry on loopback, files in a directory of the test. Plus a small push client. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BuiltImage } from './build-image.ts'

export interface TestRegistry { /** `127.0.0.1:5000` */ host: string; port: number; pid: number; stop(): Promise<void> }
export interface RegistryOptions {
  dir: string
  /** Default: a free one. */
  port?: number
  /** Of the address to listen on; default 127.0.0.1. Other hosts are for labs, where nodes live in namespaces. */
  address?: string
  /** Basic auth by an htpasswd file with bcrypt entries. */
  htpasswd?: string
  /** Paths. With `clientCa` it asks its clients for certificates. */
  tls?: { certificate: string; key: string; clientCa?: string }
}

const START_MS_MAX = 15_000

export async function startRegistry(options: RegistryOptions): Promise<TestRegistry> {
  const { dir, address = '127.0.0.1' } = options
  const port = options.port ?? await freePort(address)
  mkdirSync(dir, { recursive: true })
  const config = join(dir, 'config.yml')
  writeFileSync(config, [
    'version: 0.1', 'log:', '  level: error', '  accesslog:', '    disabled: true', 'storage:', '  delete:', '    enabled: true', '  filesystem:', `    rootdirectory: ${join(dir, 'data')}`,
    'http:', `  addr: ${address}:${port}`, ...tlsLines(options.tls), ...(options.htpasswd === undefined ? [] : ['auth:', '  htpasswd:', '    realm: test', `    path: ${options.htpasswd}`]), '',
  ].join('\n'))
  const child = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: '/usr/bin:/bin', OTEL_TRACES_EXPORTER: 'none' } })
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => { words = `${words}${chunk.toString()}`.slice(-4000) })
  const ended = new Promise<void>((resolve) => {
    child.on('error', () => resolve())
    child.on('close', () => resolve())
  })
  const host = `${address}:${port}`
  const deadlineMs = performance.now() + START_MS_MAX
  while (!await (options.tls ? listens(address, port) : answers(host))) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      child.kill('SIGKILL')
      throw new Error(`docker-registry did not start on ${host}: ${words || 'is it installed?'}`)
    }
    await sleep(25)
  }
  return {
    host, port, pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Uploads blobs and manifest; returns `host/repository:tag`. */
export async function pushImage(image: BuiltImage, target: { host: string; repository: string; tag: string }): Promise<string> {
  const { host, repository, tag } = target
  const base = `http://${host}/v2/${repository}`
  for (const blob of [...image.layers, { digest: image.configDigest, bytes: image.config }]) {
    if ((await send('HEAD', `${base}/blobs/${blob.digest}`)).status === 200) continue
    const begun = await send('POST', `${base}/blobs/uploads/`)
    const location = new URL(begun.location ?? '', base)
    location.searchParams.set('digest', blob.digest)
    const put = await send('PUT', location.href, blob.bytes, 'application/octet-stream')
    if (put.status !== 201) throw new Error(`pushing blob ${blob.digest} to ${host}: ${put.status} ${put.body}`)
  }
  await pushManifest(image.manifest, { ...target, mediaType: 'application/vnd.oci.image.manifest.v1+json' })
  return `${host}/${repository}:${tag}`
}

/** A manifest or index by itself. */
export async function pushManifest(bytes: Buffer, target: { host: string; repository: string; tag: string; mediaType: string }): Promise<void> {
  const put = await send('PUT', `http://${target.host}/v2/${target.repository}/manifests/${target.tag}`, bytes, target.mediaType)
  if (put.status !== 201) throw new Error(`pushing manifest to ${target.host}/${target.repository}:${target.tag}: ${put.status} ${put.body}`)
}

function send(method: string, url: string, body?: Buffer, type?: string): Promise<{ status: number; location: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method, agent: false, headers: { 'Content-Length': body?.length ?? 0, ...(type !== undefined && { 'Content-Type': type }) } }, (res) => {
      let text = ''
      res.on('data', (chunk: Buffer) => { text += chunk.toString() })
      res.on('end', () => resolve({ status: res.statusCode ?? 0, location: res.headers.location, body: text.slice(0, 1000) }))
      res.on('error', reject)
    })
    req.on('error', reject)
    req.end(body)
  })
}

async function answers(host: string): Promise<boolean> {
  return send('GET', `http://${host}/v2/`).then((answer) => answer.status === 200 || answer.status === 401, () => false)
}

function tlsLines(tls: RegistryOptions['tls']): string[] {
  if (!tls) return []
  return ['  tls:', `    certificate: ${tls.certificate}`, `    key: ${tls.key}`, ...(tls.clientCa === undefined ? [] : ['    clientcas:', `      - ${tls.clientCa}`])]
}

function listens(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address)
    socket.on('connect', () => { socket.destroy(); resolve(true) })
    socket.on('error', () => resolve(false))
  })
}

function freePort(address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.on('error', reject)
    probe.listen(0, address, () => {
      const bound = probe.address()
      const port = typeof bound === 'object' && bound ? bound.port : 0
      probe.close(() => resolve(port))
    })
  })
}
