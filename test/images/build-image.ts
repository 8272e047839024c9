/**
 * Images for tests, built from what is installed: Debian's dynamic busybox with its libraries (the static one prefers its
 * own applets to files in PATH and so behaves unlike usual images). Written as an OCI layout, bit for bit the same each time.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { globSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip, zstdCompress } from 'node:zlib'
import { pack } from 'tar-stream'
import type { Header } from 'tar-stream'

export interface LayerFile { name: string; type?: Header['type']; mode?: number; uid?: number; gid?: number; content?: string | Buffer; linkname?: string; pax?: Record<string, string>; devmajor?: number; devminor?: number }
export interface ImageSpec {
  /** Base first. */
  layers: LayerFile[][]
  compression?: 'gzip' | 'zstd' | 'none'
  config?: { User?: string; Env?: string[]; Entrypoint?: string[]; Cmd?: string[]; WorkingDir?: string; StopSignal?: string; Labels?: Record<string, string>; Volumes?: Record<string, object> }
  architecture?: string
}
export interface BuiltImage {
  /** An OCI layout: `oci-layout`, `index.json`, `blobs/sha256/...`. */
  dir: string
  manifestDigest: string
  manifest: Buffer
  /** The image id. */
  configDigest: string
  config: Buffer
  layers: { digest: string; mediaType: string; bytes: Buffer }[]
}

const EPOCH = new Date(0)
const APPLETS = ['sh', 'ash', 'cat', 'ls', 'echo', 'sleep', 'true', 'false', 'id', 'env', 'ps', 'kill', 'mount', 'umount', 'df', 'stat', 'head', 'tail', 'tr', 'wc', 'grep', 'sed', 'awk', 'cut', 'sort', 'find',
  'mkdir', 'rm', 'rmdir', 'cp', 'mv', 'ln', 'chmod', 'chown', 'touch', 'date', 'dd', 'dirname', 'basename', 'expr', 'test', '[', 'printf', 'seq', 'yes', 'pwd', 'hostname', 'ip', 'ping', 'nc', 'wget', 'nslookup', 'httpd', 'tar', 'gzip', 'gunzip', 'md5sum', 'sha256sum', 'uname', 'which', 'xargs', 'tee', 'stty', 'tty', 'pidof', 'free', 'mkfifo', 'usleep', 'timeout', 'readlink', 'sync', 'mknod', 'vi', 'more', 'netstat', 'du', 'nproc', 'ifconfig', 'route', 'telnet', 'traceroute', 'sysctl']

/** A small working system: shell, network tools, users root and app (1000). `elsewhere`: a directory with `bin/busybox` and its libraries of another architecture. */
export function busyboxLayer(elsewhere?: string): LayerFile[] {
  const program = elsewhere === undefined ? '/usr/bin/busybox' : join(elsewhere, 'bin/busybox')
  const libraries = elsewhere === undefined
    ? [...execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? '')
    : globSync('lib*/**', { cwd: elsewhere, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(elsewhere.length))
  const directories = ['bin', 'etc', 'tmp', 'var', 'var/www', 'root', 'home', 'home/app', 'usr', 'usr/bin', 'proc', 'sys', 'dev', ...new Set(libraries.flatMap((path) => parents(path)))]
  return [
    ...directories.map((name): LayerFile => ({ name, type: 'directory', mode: name === 'tmp' ? 0o1777 : 0o755, ...(name === 'home/app' && { uid: 1000, gid: 1000 }) })),
    { name: 'bin/busybox', mode: 0o755, content: readFileSync(program) },
    ...libraries.map((path): LayerFile => ({ name: path.slice(1), mode: 0o755, content: readFileSync(realpathSync(join(elsewhere ?? '/', path))) })),
    ...APPLETS.map((name): LayerFile => ({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })),
    { name: 'etc/passwd', content: 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n' },
    { name: 'etc/group', content: 'root:x:0:\napp:x:1000:\nstaff:x:50:app\n' },
    { name: 'etc/nsswitch.conf', content: 'hosts: files dns\n' },
    { name: 'var/www/index.html', content: 'hello from busybox\n' },
  ]
}

/** The usual test image: one layer, `sh` as its command. */
export function buildBusyboxImage(dir: string, config: ImageSpec['config'] = { Cmd: ['sh'] }): Promise<BuiltImage> {
  return buildImage(dir, { layers: [busyboxLayer()], config })
}

export async function buildImage(dir: string, spec: ImageSpec): Promise<BuiltImage> {
  const compression = spec.compression ?? 'gzip'
  const layers: BuiltImage['layers'] = []
  const diffIds: string[] = []
  for (const files of spec.layers) {
    const tar = await packTar(files)
    diffIds.push(sha256(tar))
    const bytes = compression === 'gzip' ? await promisify(gzip)(tar) : compression === 'zstd' ? await promisify(zstdCompress)(tar) : tar
    layers.push({ digest: sha256(bytes), bytes, mediaType: `application/vnd.oci.image.layer.v1.tar${compression === 'none' ? '' : `+${compression}`}` })
  }
  const architecture = spec.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch)
  const config = json({ created: EPOCH.toISOString(), architecture, os: 'linux', config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], ...spec.config }, rootfs: { type: 'layers', diff_ids: diffIds } })
  const configDigest = sha256(config)
  const manifest = json({
    schemaVersion: 2, mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: configDigest, size: config.length },
    layers: layers.map(({ digest, mediaType, bytes }) => ({ mediaType, digest, size: bytes.length })),
  })
  const image: BuiltImage = { dir, manifestDigest: sha256(manifest), manifest, configDigest, config, layers }
  writeLayout(image)
  return image
}

/** The layout as one tarball, as `skopeo copy … oci-archive:` makes it; `name` becomes the image's name. */
export async function ociArchive(image: BuiltImage, name: string): Promise<Buffer> {
  const index = json({ schemaVersion: 2, manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: image.manifestDigest, size: image.manifest.length, annotations: { 'io.containerd.image.name': name } }] })
  return packTar([
    { name: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }) }, { name: 'index.json', content: index },
    ...blobsOf(image).map(({ digest, bytes }): LayerFile => ({ name: `blobs/sha256/${digest.slice(7)}`, content: bytes })),
  ])
}

/** As `docker save` writes it. */
export async function dockerArchive(image: BuiltImage, name: string): Promise<Buffer> {
  return packTar([
    { name: `${image.configDigest.slice(7)}.json`, content: image.config },
    ...image.layers.map((layer, i): LayerFile => ({ name: `${i}/layer.tar`, content: layer.bytes })),
    { name: 'manifest.json', content: json([{ Config: `${image.configDigest.slice(7)}.json`, RepoTags: [name], Layers: image.layers.map((_, i) => `${i}/layer.tar`) }]) },
  ])
}

export async function packTar(files: readonly LayerFile[]): Promise<Buffer> {
  const tar = pack()
  const chunks: Buffer[] = []
  tar.on('data', (chunk) => { chunks.push(chunk as Buffer) })
  for (const { name, type = 'file', mode, uid = 0, gid = 0, content, linkname, pax, devmajor, devminor } of files) {
    const header: Partial<Header> & { name: string } = {
      name, type, mode: mode ?? (type === 'directory' ? 0o755 : 0o644), uid, gid, mtime: EPOCH,
      ...(linkname !== undefined && { linkname }), ...(pax && { pax }), ...(devmajor !== undefined && { devmajor }), ...(devminor !== undefined && { devminor }),
    }
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null) => { if (error) reject(error); else resolve() }
      if (type === 'file') tar.entry(header, content ?? '', done)
      else tar.entry(header, done)
    })
  }
  tar.finalize()
  await new Promise<void>((resolve) => tar.on('end', resolve))
  return Buffer.concat(chunks)
}

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function blobsOf(image: BuiltImage): { digest: string; bytes: Buffer }[] {
  return [...image.layers, { digest: image.configDigest, bytes: image.config }, { digest: image.manifestDigest, bytes: image.manifest }]
}

function writeLayout(image: BuiltImage): void {
  mkdirSync(join(image.dir, 'blobs/sha256'), { recursive: true })
  for (const { digest, bytes } of blobsOf(image)) writeFileSync(join(image.dir, 'blobs/sha256', digest.slice(7)), bytes)
  writeFileSync(join(image.dir, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
  writeFileSync(join(image.dir, 'index.json'), json({ schemaVersion: 2, manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: image.manifestDigest, size: image.manifest.length }] }))
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function parents(path: string): string[] {
  const parts = path.split('/').slice(1, -1)
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}
