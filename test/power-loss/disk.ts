/**
 * A disk as a power cut finds it. What was synced is there. Of what was written since, any part may be: whole writes,
 * writes torn between sectors, pages in any order with nothing but zeros between them; of each file its own part.
 *
 * Names follow the journals of Linux's file systems: they reach the disk in the order in which they were made, and a
 * sync of a file or of the directory takes along the names that were made before it began.
 */
import type { Random } from '#base/random.ts'
import type { FileEvent } from './trace.ts'

const SECTOR_BYTES = 512
const PAGE_BYTES = 4096

type Change = { kind: 'write'; offset: number; data: Buffer } | { kind: 'truncate'; size: number }
interface File { changes: Change[]; /** The index of the trace's event that made each change. */ eventOf: number[]; synced: number; size: number }
type NameChange = { event: number } & ({ kind: 'link'; path: string; file: File } | { kind: 'unlink'; path: string } | { kind: 'rename'; from: string; to: string })

export const LOSSES = ['nothing', 'all that was not synced', 'tails, torn between sectors', 'pages in any order', 'each file its own way'] as const
export type Loss = (typeof LOSSES)[number]

export class Disk {
  readonly #names = new Map<string, File>()
  readonly #nameChanges: NameChange[] = []
  #namesDurable = 0
  readonly #open = new Map<number, { file: File | undefined; path: string; at: number }>()
  #event = 0

  /** Names right now, as a running program sees them. */
  get paths(): string[] { return [...this.#names.keys()] }
  get hasUnsynced(): boolean { return [...this.#names.values()].some((f) => f.synced < f.changes.length) || this.#namesDurable < this.#nameChanges.length }

  apply(event: FileEvent): void {
    const index = this.#event++
    switch (event.kind) {
      case 'open': {
        let file = this.#names.get(event.path)
        if (!file && event.creates) {
          file = { changes: [], eventOf: [], synced: 0, size: 0 }
          this.#names.set(event.path, file)
          this.#nameChanges.push({ kind: 'link', path: event.path, file, event: index })
        } else if (file && event.truncates && file.size > 0) this.#change(file, { kind: 'truncate', size: 0 }, index)
        this.#open.set(event.fd, { file, path: event.path, at: 0 })
        break
      }
      case 'write': {
        const handle = this.#open.get(event.fd)
        if (!handle?.file) break
        this.#change(handle.file, { kind: 'write', offset: event.offset ?? handle.at, data: event.data }, index)
        if (event.offset === undefined) handle.at += event.data.length
        break
      }
      case 'truncate': {
        const file = this.#open.get(event.fd)?.file
        if (file) this.#change(file, { kind: 'truncate', size: event.size }, index)
        break
      }
      case 'sync': {
        const handle = this.#open.get(event.fd)
        if (!handle) break
        const { file } = handle
        if (file) file.synced = Math.max(file.synced, file.eventOf.filter((e) => e < event.begun).length)
        // All names made before where it is the directory, the file's own and those before it where it is a file.
        const own = this.#nameChanges.findLastIndex((c) => c.event < event.begun && (!file || (c.kind === 'link' && c.file === file) || (c.kind === 'rename' && this.#names.get(c.to) === file)))
        this.#namesDurable = Math.max(this.#namesDurable, own + 1)
        break
      }
      case 'close':
        this.#open.delete(event.fd)
        break
      case 'rename': {
        const file = this.#names.get(event.from)
        if (file) this.#names.set(event.to, file)
        this.#names.delete(event.from)
        this.#nameChanges.push({ kind: 'rename', from: event.from, to: event.to, event: index })
        break
      }
      case 'unlink':
        this.#names.delete(event.path)
        this.#nameChanges.push({ kind: 'unlink', path: event.path, event: index })
    }
  }

  #change(file: File, change: Change, event: number): void {
    file.changes.push(change)
    file.eventOf.push(event)
    file.size = change.kind === 'truncate' ? change.size : Math.max(file.size, change.offset + change.data.length)
  }

  /** The files after a power cut now. The same `Buffer` for a file that was whole. */
  cut(loss: Loss, random: Random): Map<string, Buffer> {
    const pending = this.#nameChanges.length - this.#namesDurable
    const names = loss === 'nothing' ? pending : loss === 'all that was not synced' ? 0 : Math.floor(random.next() * (pending + 1))
    const found = new Map<string, File>()
    for (const change of this.#nameChanges.slice(0, this.#namesDurable + names)) {
      if (change.kind === 'link') found.set(change.path, change.file)
      else if (change.kind === 'unlink') found.delete(change.path)
      else {
        const file = found.get(change.from)
        found.delete(change.from)
        if (file) found.set(change.to, file)
      }
    }
    return new Map([...found].map(([path, file]) => [path, contentOf(file, loss === 'each file its own way' ? LOSSES[Math.floor(random.next() * 4)] as Loss : loss, random)]))
  }
}

function contentOf(file: File, loss: Loss, random: Random): Buffer {
  const synced = file.changes.slice(0, file.synced)
  const rest = file.changes.slice(file.synced)
  if (rest.length === 0 || loss === 'nothing') return build(file.changes)
  if (loss === 'all that was not synced') return build(synced)
  if (loss === 'tails, torn between sectors') {
    const kept = Math.floor(random.next() * (rest.length + 1))
    const torn = rest[kept]
    const changes = [...synced, ...rest.slice(0, kept)]
    if (torn?.kind === 'write') {
      const end = Math.floor((torn.offset + random.next() * torn.data.length) / SECTOR_BYTES) * SECTOR_BYTES
      if (end > torn.offset) changes.push({ ...torn, data: torn.data.subarray(0, end - torn.offset) })
    }
    return build(changes)
  }
  // Each page holds what was synced of it, or the newest; what lies behind the last page that is there is not.
  const before = build(synced)
  const after = build(file.changes)
  const out = Buffer.alloc(after.length)
  before.copy(out, 0, 0, Math.min(before.length, out.length))
  let end = before.length
  const firstPage = Math.floor(Math.min(...rest.map((c) => (c.kind === 'write' ? c.offset : c.size))) / PAGE_BYTES)
  const keep = random.next()
  for (let page = firstPage; page * PAGE_BYTES < after.length; page++) {
    if (random.next() > keep) continue
    after.copy(out, page * PAGE_BYTES, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
    end = Math.max(end, Math.min(after.length, (page + 1) * PAGE_BYTES))
  }
  return out.subarray(0, end)
}

function build(changes: readonly Change[]): Buffer {
  let size = 0
  let sizeMax = 0
  for (const change of changes) {
    size = change.kind === 'truncate' ? change.size : Math.max(size, change.offset + change.data.length)
    sizeMax = Math.max(sizeMax, size)
  }
  const out = Buffer.alloc(sizeMax)
  for (const change of changes) {
    if (change.kind === 'truncate') out.fill(0, change.size)
    else change.data.copy(out, change.offset)
  }
  return out.subarray(0, size)
}
