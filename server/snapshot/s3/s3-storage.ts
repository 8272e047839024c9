/** Snapshots in an S3-compatible bucket. */
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { LookupFunction } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { createdMsOf } from '../names.ts'
import type { SnapshotStorage } from '../snapshot-storage.ts'
import { S3Client, type S3Config } from './s3-client.ts'

export function s3Storage(config: S3Config, clock: Clock, lookup?: LookupFunction): SnapshotStorage {
  const client = new S3Client(config, clock, lookup)
  const folder = config.folder.replaceAll(/^\/+|\/+$/g, '')
  const prefix = folder === '' ? '' : `${folder}/`
  const locationOf = (key: string) => `s3://${config.bucket}/${key}`
  const place = `s3://${config.bucket}/${folder}`
  const unknown = (name: string, cause?: unknown) => new CodedError('SNAPSHOT_UNKNOWN', `there is no snapshot ${name} in ${place}; skiff snapshot list --s3 shows them`, { cause })
  return {
    place,
    async list() {
      const objects = await client.list(prefix)
      return objects.flatMap(({ key, sizeBytes }) => {
        const name = key.slice(prefix.length)
        const createdMs = createdMsOf(name)
        return createdMs === undefined ? [] : [{ name, location: locationOf(key), sizeBytes, createdMs }]
      }).sort((a, b) => b.createdMs - a.createdMs)
    },
    async put(name, file) {
      await client.put(prefix + name, file)
      const stored = (await client.list(prefix + name)).find((o) => o.key === prefix + name)
      if (!stored) throw new CodedError('S3_LOST', `${place} took the snapshot ${name}, but does not have it`)
      return { name, location: locationOf(stored.key), sizeBytes: stored.sizeBytes, createdMs: createdMsOf(name) ?? stored.modifiedMs }
    },
    async get(name, file) {
      try {
        // Begun anew when it broke off.
        await client.get(prefix + name, async (body) => {
          await rm(file, { force: true })
          await pipeline(body, createWriteStream(file, { flags: 'wx', mode: 0o600 }))
        })
      } catch (error) {
        throw hasCode(error, 'S3_NoSuchKey') ? unknown(name, error) : error
      }
    },
    async delete(name) {
      // S3 deletes what is not there without a word.
      if (!(await client.exists(prefix + name))) throw unknown(name)
      await client.delete(prefix + name)
    },
  }
}
