/** The files in `<data-dir>/server/manifests/`, read and bounded. Only what lies in that directory: links that lead out are refused. */
import { lstat, mkdir, open, readdir, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { asError, hasCode } from '#base/errors.ts'

export interface ManifestFile {
  /** Below the directory: `apps/web.yaml`. */
  name: string
  content: { text: string } | { problem: string }
}

export interface ManifestFiles {
  files: ManifestFile[]
  /** All directories that were read, to be watched. */
  directories: string[]
}

const EXTENSION = /\.(ya?ml|json)$/
/** Larger than any bundle of CRDs known to us; read into memory, one at a time. */
const FILE_BYTES_MAX = 8 * 1024 * 1024
const FILES_MAX = 1_000
const DEPTH_MAX = 5

/** In the order in which they are applied: by name. Hidden files and those with a `<name>.skip` beside them are left out, as k3s does. */
export async function readManifests(root: string): Promise<ManifestFiles> {
  await mkdir(root, { recursive: true, mode: 0o700 })
  const found: ManifestFiles = { files: [], directories: [] }
  await readDirectory(await realpath(root), '', found, 0)
  return found
}

async function readDirectory(root: string, below: string, found: ManifestFiles, depth: number): Promise<void> {
  const directory = join(root, below)
  found.directories.push(directory)
  const names = (await readdir(directory)).sort()
  for (const entry of names) {
    if (entry.startsWith('.') || entry.endsWith('.skip') || names.includes(`${entry}.skip`)) continue
    const name = join(below, entry)
    const refuse = (problem: string) => { if (EXTENSION.test(entry)) found.files.push({ name, content: { problem } }) }
    try {
      const path = await realpath(join(root, name))
      if (relative(root, path).split(sep)[0] === '..') {
        refuse('it is a link that leads out of the directory: put the file itself there')
        continue
      }
      const kind = await lstat(path)
      if (kind.isDirectory()) {
        // A link to a directory would be read twice, or for ever.
        if (depth < DEPTH_MAX && path === join(root, name)) await readDirectory(root, name, found, depth + 1)
        continue
      }
      if (!EXTENSION.test(entry)) continue
      if (found.files.length >= FILES_MAX) return
      if (!kind.isFile()) refuse('it is not a file')
      else found.files.push({ name, content: await readBounded(path) })
    } catch (error) {
      // Gone since the directory was read: the next look is told.
      if (!hasCode(error, 'ENOENT')) refuse(`it cannot be read: ${asError(error).message}`)
    }
  }
}

async function readBounded(path: string): Promise<ManifestFile['content']> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    if (size > FILE_BYTES_MAX) return { problem: `it is larger than ${FILE_BYTES_MAX / 1024 / 1024} MiB: split it` }
    return { text: await file.readFile('utf8') }
  } finally {
    await file.close()
  }
}
