/** Encryption at rest as the flags ask for it: a file of the admin's, or one that skiff makes and keeps itself. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseEncryptionConfig, type EncryptionOptions } from '../apiserver/encryption/index.ts'
import type { KeyEntry, KeyFile, OwnKeysOptions } from '../apiserver/encryption/own-keys.ts'
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

/** Without `--encryption-provider-config` the keys are skiff's own, if there are any; `--secrets-encryption` begins with them where the cluster has none. */
export function encryptionOptions(values: FlagValues, dataDir: string, { clock, random }: { clock: Clock; random: Random }): EncryptionOptions | OwnKeysOptions {
  const given = text(values, FLAG)
  const reloads = values[`${FLAG}-automatic-reload`] === true
  if (given !== undefined && values['secrets-encryption'] === true) throw new UsageError(`--secrets-encryption: skiff keeps the keys itself then: leave it out, or leave out --${FLAG}`)
  if (reloads && given === undefined) throw new UsageError(`--${FLAG}-automatic-reload: there is no file to follow: pass --${FLAG} FILE, too`)
  if (given !== undefined) {
    const read = (): unknown => readYamlMapping(given, { optional: false, what: `--${FLAG}:` })
    const parsed = parseEncryptionConfig(read())
    if (!parsed.ok) throw new UsageError(`--${FLAG}: ${given}: ${parsed.message}`)
    return { read, ...(reloads && { follow: followFile(given, clock) }) }
  }
  const newKey = (): KeyEntry => ({ name: `aesgcmkey-${new Date(clock.nowMs()).toISOString().slice(0, 19).replaceAll(':', '-')}`, secret: random.bytes(32).toString('base64') })
  const file = ownKeyFile(dataDir)
  // A damaged one is told before anything is started.
  file.read()
  // Keys once made stay in use without the flag, too: what is sealed with them must stay readable.
  return { kind: 'own', file, newKey, begins: values['secrets-encryption'] === true }
}

function ownKeyFile(dataDir: string): KeyFile {
  const path = ownEncryptionFile(dataDir)
  return {
    path,
    read() {
      if (!existsSync(path)) return undefined
      const mapping = readYamlMapping(path, { optional: false, what: 'the key file' })
      const parsed = parseEncryptionConfig(mapping)
      if (!parsed.ok) throw new UsageError(`the key file ${path} is damaged: ${parsed.message}: restore it from a backup`)
      return mapping
    },
    write: (configuration) => writeFileAtomic(path, `${JSON.stringify(configuration, undefined, 2)}\n`, { mode: 0o600, directoryMode: 0o700 }),
  }
}

function followFile(path: string, clock: Clock): NonNullable<EncryptionOptions['follow']> {
  return (onChange) => {
    const watch = createDirectoryWatch({ clock, ...QUIET, onQuiet: onChange })
    watch.watch([dirname(path)])
    return () => watch.close()
  }
}
