/** Credentials that the machine itself has for registries: docker's config files, where a kubelet looks for them. They are for all of its pods. */
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { RegistryAuth } from '#cri/index.ts'
import { fittingAuths, parseDockerConfig } from './pull-secrets.ts'

export interface NodeCredentials {
  /** Most specific first. Never rejects. */
  credentialsFor(image: string): Promise<RegistryAuth[]>
}

type Entries = NonNullable<ReturnType<typeof parseDockerConfig>>

/** Upstream's maxReadLength. */
const FILE_BYTES_MAX = 10 * 1024 * 1024

/** `files`: the first that is there and holds what it should counts; one by the name of `.dockercfg` is of the older form. They are read for each pull, which costs nothing beside it. */
export function createNodeCredentials({ files, log }: { files: readonly string[]; log: Log }): NodeCredentials {
  const read = async (): Promise<Entries> => {
    for (const path of files) {
      try {
        const entries = parseDockerConfig(await readBounded(path), basename(path) === '.dockercfg' ? 'old' : 'new')
        if (entries) return entries
        log.warn('a file of credentials for registries is no JSON and is passed over', { file: path })
      } catch (error) {
        if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ENOTDIR')) log.warn('a file of credentials for registries cannot be read and is passed over', { file: path, error: asError(error) })
      }
    }
    return []
  }

  return {
    credentialsFor: async (image) => fittingAuths(image, await read()),
  }
}

async function readBounded(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes, more than ${FILE_BYTES_MAX}`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
