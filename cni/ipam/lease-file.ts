/**
 * Leases in one append-only file, a JSON record a line: `{"put":{id,address,ports}}`, `{"del":id}`, `{"last":address}`. An
 * acquisition is synced before it is used; a release is not (losing one costs an address until `retainOnly`, syncing it
 * costs the flash card a write). The file is rewritten, by synced temporary file and rename, when dead records outweigh live ones.
 */
import { mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Prefix } from '../prefix.ts'
import { LeaseTable } from './lease-table.ts'
import type { Lease, LeasedPort, Leases } from './leases.ts'

type LeaseRecord = { put: Lease } | { del: string } | { last: string }

/** Records beyond the live ones before the file is rewritten: some 60 KB. */
const DEAD_RECORDS_MAX = 512
/** No node has so many pods; a larger file is not ours and is not read into memory. */
const FILE_BYTES_MAX = 16 * 1024 * 1024

export async function openLeaseFile(path: string, prefix: Prefix, log: Log): Promise<Leases> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const table = new LeaseTable(prefix)
  const read = await readRecords(path, log)
  for (const record of read.records) {
    if ('put' in record) {
      if (!table.put(record.put)) log.warn('lease dropped: its address is outside the pod CIDR or held twice', { id: record.put.id, address: record.put.address })
    } else if ('del' in record) table.remove(record.del)
    else table.seek(record.last)
  }
  const file = new LeaseFile(path, table)
  await file.start(read.intact ? read.records.length : undefined)
  return file
}

class LeaseFile implements Leases {
  readonly #path: string
  readonly #table: LeaseTable
  #handle: FileHandle | undefined
  #records = 0
  /** One write at a time, in the order of the calls. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(path: string, table: LeaseTable) {
    this.#path = path
    this.#table = table
  }

  /** `records` undefined: the file is damaged or new and is written afresh. */
  async start(records: number | undefined): Promise<void> {
    this.#records = records ?? 0
    if (records === undefined || this.#isMostlyDead()) await this.#rewrite()
    else this.#handle = await open(this.#path, 'a', 0o600)
  }

  get(id: string): Lease | undefined { return this.#table.get(id) }
  list(): Lease[] { return this.#table.list() }

  async acquire(id: string, ports: readonly LeasedPort[]): Promise<Lease> {
    const before = this.#table.get(id)
    const { lease, changed } = this.#table.acquire(id, ports)
    if (!changed) {
      // The first call for this id may still be on its way to the disk.
      await this.#tail
      return lease
    }
    try {
      await this.#append({ put: lease }, true)
    } catch (error) {
      if (before) this.#table.put(before)
      else this.#table.remove(id)
      throw error
    }
    return lease
  }

  async adopt(lease: Lease): Promise<boolean> {
    if (!this.#table.put(lease)) return false
    await this.#append({ put: lease }, true)
    return true
  }

  async release(id: string): Promise<void> {
    if (this.#table.remove(id)) await this.#append({ del: id }, false)
  }

  async close(): Promise<void> {
    await this.#tail
    await this.#handle?.close()
    this.#handle = undefined
  }

  async destroy(): Promise<void> {
    await this.close()
    await rm(this.#path, { force: true })
  }

  #append(record: LeaseRecord, durable: boolean): Promise<void> {
    const run = this.#tail.then(async () => {
      try {
        if (this.#isMostlyDead()) return await this.#rewrite()
        if (!this.#handle) throw new Error('the file is closed')
        await this.#handle.appendFile(`${JSON.stringify(record)}\n`)
        this.#records++
        if (durable) await this.#handle.datasync()
      } catch (error) {
        // Half a line may be in the file now: the next write starts it afresh.
        this.#records = Number.MAX_SAFE_INTEGER
        throw new CodedError('LEASE_WRITE', `cannot write pod address leases to ${this.#path}: ${String((error as Error).message)}; is the disk full?`, { cause: error })
      }
    })
    this.#tail = run.catch(() => undefined)
    return run
  }

  #isMostlyDead(): boolean {
    return this.#records > this.#table.size + DEAD_RECORDS_MAX
  }

  async #rewrite(): Promise<void> {
    const records: LeaseRecord[] = this.#table.list().map((put) => ({ put }))
    if (this.#table.last !== undefined) records.push({ last: this.#table.last })
    const temporary = `${this.#path}.new`
    const next = await open(temporary, 'w', 0o600)
    try {
      await next.writeFile(records.map((r) => `${JSON.stringify(r)}\n`).join(''))
      await next.sync()
    } finally {
      await next.close()
    }
    await rename(temporary, this.#path)
    const folder = await open(dirname(this.#path), 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
    await this.#handle?.close()
    this.#handle = await open(this.#path, 'a', 0o600)
    this.#records = records.length
  }
}

/** `intact` is false when there is no file or a line of it cannot be read: a torn last line after a power cut, or worse. */
async function readRecords(path: string, log: Log): Promise<{ records: LeaseRecord[]; intact: boolean }> {
  const text = await readBounded(path)
  if (text === undefined) return { records: [], intact: false }
  const lines = text.split('\n')
  const torn = lines.pop() !== ''
  const records: LeaseRecord[] = []
  let bad = 0
  for (const line of lines) {
    const record = maybeRecord(line)
    if (record) records.push(record)
    else bad++
  }
  if (bad > 0) log.warn('the lease file has unreadable lines; addresses still in use are found again from the devices', { path, lines: bad })
  return { records, intact: bad === 0 && !torn }
}

async function readBounded(path: string): Promise<string | undefined> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (!handle) return undefined
  try {
    const { size } = await handle.stat()
    if (size > FILE_BYTES_MAX) throw new CodedError('LEASE_FILE', `${path} is ${size} bytes: not a lease file; move it away`)
    return await readFile(handle, 'utf8')
  } finally {
    await handle.close()
  }
}

function maybeRecord(line: string): LeaseRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined // counted and reported by the caller
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { put, del, last } = value as { put?: unknown; del?: unknown; last?: unknown }
  if (typeof del === 'string') return { del }
  if (typeof last === 'string') return { last }
  const lease = put as Partial<Lease> | undefined
  if (typeof lease?.id === 'string' && typeof lease.address === 'string' && Array.isArray(lease.ports)) return { put: { id: lease.id, address: lease.address, ports: lease.ports } }
  return undefined
}
