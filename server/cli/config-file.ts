/** Reads YAML configuration: `--config` and /etc/skiff/registries.yaml. */
import { readFileSync } from 'node:fs'
import { loadAll } from 'js-yaml'
import { asError, hasCode, UsageError } from '#base/errors.ts'

const FILE_BYTES_MAX = 1024 * 1024

/** A mapping from names to values; a missing file is fine only where it is optional. */
export function readYamlMapping(path: string, options: { optional: boolean; what: string }): Record<string, unknown> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (options.optional && hasCode(error, 'ENOENT')) return {}
    throw new UsageError(`${options.what} ${path} cannot be read: ${asError(error).message}`, { cause: error })
  }
  if (text.length > FILE_BYTES_MAX) throw new UsageError(`${options.what} ${path} is larger than ${FILE_BYTES_MAX / 1024} KiB`)
  let documents: readonly unknown[]
  try {
    documents = loadAll(text, { filename: path })
  } catch (error) {
    throw new UsageError(`${options.what} ${path} is not valid YAML: ${asError(error).message.split('\n')[0] ?? ''}`, { cause: error })
  }
  if (documents.length > 1) throw new UsageError(`${options.what} ${path} holds ${documents.length} documents: it must be one`)
  // Empty, or nothing but comments.
  const value = documents[0] ?? {}
  if (typeof value !== 'object' || Array.isArray(value)) throw new UsageError(`${options.what} ${path} must be a mapping of names to values`)
  return value as Record<string, unknown>
}

/** For verbs that understand only some of what `skiff server` reads from the same file: the rest is not theirs to refuse. */
export function readOwnFlags(flags: readonly { name: string }[]): (path: string, isDefault: boolean) => Record<string, unknown> {
  return (path, isDefault) => {
    const all = readYamlMapping(path, { optional: isDefault, what: 'the config file' })
    return Object.fromEntries(Object.entries(all).filter(([name]) => flags.some((f) => f.name === name)))
  }
}
