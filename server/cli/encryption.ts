/** Encryption at rest as the flags ask for it: a file of the admin's, or one that skiff makes and keeps itself. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseEncryptionConfig, type EncryptionOptions } from '../apiserver/encryption/index.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import type { Clock } from '#base/clock.ts'
import { createDirectoryWatch } from '#base/directory-watch.ts'
import { UsageError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { readYamlMapping } from './config-file.ts'
import type { FlagValues } from './flags.ts'
import { text } from './node-config.ts'

const FLAG = 'encryption-provider-config'
/** An editor's or a mount's several writes are one change. */
const QUIET = { quietMs: 500, quietMsMax: 5_000 }

/** Where `--secrets-encryption` keeps its keys: k3s's place. Mode 0600. */
export const ownEncryptionFile = (dataDir: string): string => join(dataDir, 'server', 'cred', 'encryption-config.json')

/** A new configuration of skiff's own: Secrets, sealed with a key made now; what is there already can still be read. */
export function newOwnConfiguration({ clock, random }: { clock: Clock; random: Random }): Record<string, unknown> {
  return {
    kind: 'EncryptionConfiguration', apiVersion: 'apiserver.config.k8s.io/v1',
    resources: [{ resources: ['secrets'], providers: [{ aesgcm: { keys: [newKey({ clock, random })] } }, { identity: {} }] }],
  }
}

export function newKey({ clock, random }: { clock: Clock; random: Random }): { name: string; secret: string } {
  return { name: `aesgcmkey-${new Date(clock.nowMs()).toISOString().slice(0, 19).replaceAll(':', '-')}`, secret: random.bytes(32).toString('base64') }
}

export async function writeOwnConfiguration(path: string, configuration: Record<string, unknown>): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(configuration, undefined, 2)}\n`, { mode: 0o600, directoryMode: 0o700 })
}

/** Undefined: nothing is encrypted. Makes the key file at the first start with `--secrets-encryption`. */
export async function encryptionOptions(values: FlagValues, dataDir: string, deps: { clock: Clock; random: Random }): Promise<EncryptionOptions | undefined> {
  const given = text(values, FLAG)
  const own = ownEncryptionFile(dataDir)
  const reloads = values[`${FLAG}-automatic-reload`] === true
  if (given !== undefined && values['secrets-encryption'] === true) throw new UsageError(`--secrets-encryption: skiff keeps the keys itself then: leave it out, or leave out --${FLAG}`)
  if (reloads && given === undefined) throw new UsageError(`--${FLAG}-automatic-reload: there is no file to follow: pass --${FLAG} FILE, too`)
  if (given === undefined && values['secrets-encryption'] === true && !existsSync(own)) await writeOwnConfiguration(own, newOwnConfiguration(deps))
  // `skiff secrets-encrypt` changes the file under a running server; keys once made stay in use without the flag, too: what is sealed with them must stay readable.
  const path = given ?? (existsSync(own) ? own : undefined)
  if (path === undefined) return undefined
  const read = (): unknown => readYamlMapping(path, { optional: false, what: given === undefined ? 'the key file' : `--${FLAG}:` })
  const parsed = parseEncryptionConfig(read())
  if (!parsed.ok) throw new UsageError(given === undefined ? `the key file ${path} is damaged: ${parsed.message}: restore it from a backup` : `--${FLAG}: ${path}: ${parsed.message}`)
  return { read, ...((reloads || given === undefined) && { follow: followFile(path, deps.clock) }) }
}

function followFile(path: string, clock: Clock): NonNullable<EncryptionOptions['follow']> {
  return (onChange) => {
    const watch = createDirectoryWatch({ clock, ...QUIET, onQuiet: onChange })
    watch.watch([dirname(path)])
    return () => watch.close()
  }
}
