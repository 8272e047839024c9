/** The files that configure credential providers: one, or all of a directory in the order of their names, as upstream merges them. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { asError, UsageError } from '#base/errors.ts'
import { readYamlMapping } from './config-file.ts'

const EXTENSIONS = ['.json', '.yaml', '.yml']
const WHAT = 'the configuration of credential providers'

/** `hash`: as `kubelet_credential_provider_config_info` tells it, the same for the same files on any node. */
export function readProviderFiles(path: string): { files: Record<string, unknown>[]; hash: string } {
  const paths = filesOf(path)
  if (paths.length === 0) throw new UsageError(`${WHAT} ${path}: no configuration files found in directory`)
  const files = paths.map((file) => readYamlMapping(file, { optional: false, what: WHAT }))
  const hash = createHash('sha256')
  for (const file of paths) {
    const bytes = readFileSync(file)
    // Each with its length before it: what moves from one file to the next is another configuration.
    const length = Buffer.alloc(8)
    length.writeBigUInt64BE(BigInt(bytes.length))
    hash.update(length).update(bytes)
  }
  return { files, hash: `sha256:${hash.digest('hex')}` }
}

function filesOf(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path]
    return readdirSync(path, { withFileTypes: true }).filter((entry) => !entry.isDirectory() && EXTENSIONS.includes(extname(entry.name))).map(({ name }) => join(path, name)).toSorted()
  } catch (error) {
    throw new UsageError(`${WHAT} ${path} cannot be read: ${asError(error).message}`, { cause: error })
  }
}
