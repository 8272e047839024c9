/**
 * Turns the entries of one image layer into a directory usable as an overlayfs lower layer. Runs in the unpack child,
 * so it uses the synchronous calls. Rules: OCI image spec, layer.md; whiteouts as overlayfs wants them.
 *
 * Nothing outside `root` is ever touched: names that climb out are refused, symlinks resolve as if `root` were `/`.
 */
import {
  chmodSync, closeSync, constants, fchmodSync, fchownSync, ftruncateSync, futimesSync, lchownSync, linkSync, lstatSync, lutimesSync,
  mkdirSync, openSync, rmSync, symlinkSync, writeSync,
} from 'node:fs'
import type { Stats } from 'node:fs'
import { join, posix } from 'node:path'
import { CodedError } from '#base/errors.ts'
import { makeNode, setXattr } from './native.ts'
import { resolveInRoot } from './path-in-root.ts'
import type { TarEntry, TarHandler, TarSink } from './tar-reader.ts'

export interface LayerLimits {
  /** Of all file contents together. */
  bytesMax: number
  entriesMax: number
}

export interface LayerWriterOptions {
  root: string
  /** Unpacked layers below this one, nearest first: directories that the archive leaves out take their owner and mode. */
  parents: readonly string[]
  limits: LayerLimits
  /** Create any device node; otherwise only the harmless ones every container has. */
  allowDevices: boolean
}

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
/** `/dev/null` and its like: old base images carry them, and a container gets them anyway. */
const HARMLESS_DEVICES = new Set(['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2', '10:200', '10:229'])

export class LayerWriter implements TarHandler {
  readonly #options: LayerWriterOptions
  #parentCache = new Map<string, string>()
  /** Times are set last: writing into a directory changes them. */
  #directoryTimes = new Map<string, number>()
  #whiteouts = new Set<string>()
  #bytes = 0
  #entries = 0

  constructor(options: LayerWriterOptions) {
    this.#options = options
  }

  get bytes(): number { return this.#bytes }
  get entries(): number { return this.#entries }

  entry(entry: TarEntry): TarSink | undefined {
    const { limits } = this.#options
    if (++this.#entries > limits.entriesMax) throw new CodedError('CRI_INVALID', `layer has more than ${limits.entriesMax} entries`)
    this.#bytes += entry.type === 'file' ? entry.sizeBytes : 0
    if (this.#bytes > limits.bytesMax) throw new CodedError('CRI_INVALID', `layer unpacks to more than ${limits.bytesMax} bytes`)
    const name = checkedName(entry.name)
    if (name === '') {
      if (entry.type === 'directory') this.#setDirectory(this.#options.root, entry)
      return undefined
    }
    const base = posix.basename(name)
    const parent = this.#parentOf(posix.dirname(name))
    if (base === OPAQUE) {
      setXattr(parent, 'trusted.overlay.opaque', Buffer.from('y'))
      return undefined
    }
    // `.wh..wh.` names are aufs' own bookkeeping.
    if (base.startsWith(`${WHITEOUT}${WHITEOUT}`)) return undefined
    if (base.startsWith(WHITEOUT)) {
      this.#whiteout(join(parent, checkedBase(base.slice(WHITEOUT.length), entry.name)))
      return undefined
    }
    return this.#create(join(parent, base), entry)
  }

  finish(): void {
    for (const [path, seconds] of [...this.#directoryTimes].reverse()) lutimesSync(path, seconds, seconds)
  }

  #create(path: string, entry: TarEntry): TarSink | undefined {
    const existing = lstatSync(path, { throwIfNoEntry: false })
    const hidesLower = this.#whiteouts.delete(path)
    if (existing && !(existing.isDirectory() && entry.type === 'directory')) this.#remove(path)
    switch (entry.type) {
      case 'directory':
        if (!existing?.isDirectory()) mkdirSync(path)
        if (hidesLower) setXattr(path, 'trusted.overlay.opaque', Buffer.from('y'))
        this.#setDirectory(path, entry)
        return undefined
      case 'file': return this.#file(path, entry)
      case 'symlink':
        symlinkSync(entry.linkName, path)
        this.#setOwner(path, entry)
        return undefined
      case 'link':
        this.#link(path, entry)
        return undefined
      case 'fifo':
        makeNode(path, constants.S_IFIFO | 0o600, 0, 0)
        this.#setOwner(path, entry)
        chmodSync(path, entry.mode)
        return undefined
      case 'char':
      case 'block':
        this.#device(path, entry)
        return undefined
    }
  }

  #file(path: string, entry: TarEntry): TarSink {
    const fd = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600)
    return {
      write: (chunk, position) => {
        for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done, chunk.length - done, position + done)
      },
      end: () => {
        try {
          ftruncateSync(fd, entry.sizeBytes)
          fchownSync(fd, entry.uid, entry.gid)
          fchmodSync(fd, entry.mode)
          futimesSync(fd, entry.mtimeSeconds, entry.mtimeSeconds)
        } finally {
          closeSync(fd)
        }
        setXattrs(path, entry)
      },
    }
  }

  #link(path: string, entry: TarEntry): void {
    const target = checkedName(entry.linkName)
    const from = join(resolveInRoot(this.#options.root, posix.dirname(target)), posix.basename(target))
    const found = lstatSync(from, { throwIfNoEntry: false })
    if (!found) throw new CodedError('CRI_INVALID', `hard link ${JSON.stringify(entry.name)} names ${JSON.stringify(entry.linkName)}, which is not in the layer`)
    linkSync(from, path)
  }

  #device(path: string, entry: TarEntry): void {
    const id = `${entry.deviceMajor}:${entry.deviceMinor}`
    if (!this.#options.allowDevices && !(entry.type === 'char' && HARMLESS_DEVICES.has(id))) {
      throw new CodedError('CRI_INVALID', `layer holds the ${entry.type} device ${JSON.stringify(entry.name)} (${id}); images with devices are refused`)
    }
    makeNode(path, (entry.type === 'char' ? constants.S_IFCHR : constants.S_IFBLK) | 0o600, entry.deviceMajor, entry.deviceMinor)
    this.#setOwner(path, entry)
    chmodSync(path, entry.mode)
  }

  /** Hides `path` of the layers below; what this very layer put there stays. */
  #whiteout(path: string): void {
    const existing = lstatSync(path, { throwIfNoEntry: false })
    if (existing?.isDirectory()) setXattr(path, 'trusted.overlay.opaque', Buffer.from('y'))
    if (existing) return
    makeNode(path, constants.S_IFCHR, 0, 0)
    this.#whiteouts.add(path)
  }

  #setDirectory(path: string, entry: TarEntry): void {
    lchownSync(path, entry.uid, entry.gid)
    chmodSync(path, entry.mode)
    setXattrs(path, entry)
    this.#directoryTimes.set(path, entry.mtimeSeconds)
  }

  #setOwner(path: string, entry: TarEntry): void {
    lchownSync(path, entry.uid, entry.gid)
    lutimesSync(path, entry.mtimeSeconds, entry.mtimeSeconds)
  }

  #remove(path: string): void {
    rmSync(path, { recursive: true, force: true })
    this.#parentCache.clear()
    for (const known of this.#directoryTimes.keys()) if (known === path || known.startsWith(`${path}/`)) this.#directoryTimes.delete(known)
  }

  /** The real directory for a name inside the layer, made if the archive leaves it out. */
  #parentOf(name: string): string {
    const cached = this.#parentCache.get(name)
    if (cached !== undefined) return cached
    const path = resolveInRoot(this.#options.root, name)
    this.#ensureDirectory(path)
    this.#parentCache.set(name, path)
    return path
  }

  #ensureDirectory(path: string): void {
    const { root } = this.#options
    if (path === root) return
    const existing = lstatSync(path, { throwIfNoEntry: false })
    if (existing?.isDirectory()) return
    if (existing && !this.#whiteouts.has(path)) throw new CodedError('CRI_INVALID', `layer uses ${JSON.stringify(path.slice(root.length))} both as a file and as a directory`)
    this.#ensureDirectory(posix.dirname(path))
    const hidesLower = this.#whiteouts.delete(path)
    if (existing) this.#remove(path)
    mkdirSync(path)
    if (hidesLower) setXattr(path, 'trusted.overlay.opaque', Buffer.from('y'))
    const model = hidesLower ? undefined : this.#inherited(path.slice(root.length))
    lchownSync(path, model?.uid ?? 0, model?.gid ?? 0)
    chmodSync(path, (model?.mode ?? 0o755) & 0o7777)
    // The same tree from the same archive, whenever it is unpacked.
    this.#directoryTimes.set(path, model ? model.mtimeMs / 1000 : 0)
  }

  #inherited(name: string): Stats | undefined {
    for (const parent of this.#options.parents) {
      const stat = lstatSync(join(parent, name), { throwIfNoEntry: false })
      if (stat) return stat.isDirectory() ? stat : undefined
    }
    return undefined
  }
}

/** Relative and without `.` or `..`; empty for the root itself. Throws for names that climb out. */
function checkedName(name: string): string {
  if (name.includes('\0')) throw new CodedError('CRI_INVALID', `layer entry ${JSON.stringify(name)} holds a NUL byte`)
  const normal = posix.normalize(`./${name}`).replace(/\/+$/, '')
  if (normal === '..' || normal.startsWith('../')) throw new CodedError('CRI_INVALID', `layer entry ${JSON.stringify(name)} leads outside the layer`)
  return normal === '.' ? '' : normal
}

function checkedBase(base: string, name: string): string {
  if (base === '' || base === '.' || base === '..') throw new CodedError('CRI_INVALID', `layer entry ${JSON.stringify(name)} is not a valid whiteout`)
  return base
}

/** File capabilities and user attributes; never `trusted.*`, where overlayfs keeps what it believes. */
function setXattrs(path: string, entry: TarEntry): void {
  for (const [key, value] of entry.xattrs) if (key === 'security.capability' || key.startsWith('user.')) setXattr(path, key, value)
}
