/** `skiff images ls|pull|import|export|rm`: the images of this machine, asked of the agent that runs here (or of another runtime) over CRI. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CodedError, UsageError } from '#base/errors.ts'
import { connectRuntime, imageArchive, type ExternalRuntime, type Image } from '#cri/index.ts'
import { readOwnFlags } from './config-file.ts'
import { clock, logFor } from './environment.ts'
import { parseFlags, type FlagValues } from './flags.ts'
import { text } from './node-config.ts'
import { writeOutput } from './write-output.ts'
import { IMAGES_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

type ImageCalls = Pick<ExternalRuntime, 'listImages' | 'imageStatus' | 'pullImage' | 'importImages' | 'holdImages' | 'removeImage'>
/** `readPassword`: of standard input, to its end. `save`: to a file, or to standard output. */
interface Io { write(text: string): void; readPassword(): Promise<string>; save(output: string | undefined, chunks: AsyncIterable<Buffer>): Promise<void> }

const WORDS = ['ls', 'pull', 'import', 'export', 'rm'] as const
type Word = (typeof WORDS)[number]
const PASSWORD_BYTES_MAX = 64 * 1024

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('images'))
    return 0
  }
  const { values, positionals } = parseFlags('images', IMAGES_FLAGS, { argv, env: process.env, readConfig: readOwnFlags(IMAGES_FLAGS) })
  const { word, names } = wordOf(positionals)
  const endpoint = text(values, 'container-runtime-endpoint') ?? join(text(values, 'data-dir') ?? '/var/lib/skiff', 'agent', 'cri.sock')
  if (!existsSync(endpoint.replace(/^unix:(\/\/)?/, ''))) throw new CodedError('NO_RUNTIME', `${endpoint} is not there: images are the agent's; start skiff on this machine, or name its --data-dir`)
  const runtime = await connectRuntime({ endpoint, clock, log: logFor(values) })
  try {
    await images(word, names, values, runtime, { write: (line) => void process.stdout.write(line), readPassword, save: (output, chunks) => writeOutput(output, chunks, { stdout: process.stdout, signals: process }) })
    return 0
  } finally {
    await runtime.close()
  }
}

/** Throws UsageError for what it does not know. */
export function wordOf([word, ...names]: readonly string[]): { word: Word; names: readonly string[] } {
  const known = WORDS.find((w) => w === word)
  if (!known) throw new UsageError(`skiff images ${word === undefined ? 'needs' : `knows no ${JSON.stringify(word)}, only`} ls, pull, import, export or rm; skiff images --help tells more`)
  if (known === 'ls' && names.length > 0) throw new UsageError(`skiff images ls takes no argument ${JSON.stringify(names[0])}`)
  if (known !== 'ls' && names.length === 0) throw new UsageError(`skiff images ${known} needs ${known === 'import' ? 'the path of an archive' : known === 'pull' ? 'the name of an image' : 'the name or the id of an image; skiff images ls shows them'}`)
  return { word: known, names }
}

export async function images(word: Word, names: readonly string[], values: FlagValues, runtime: ImageCalls, io: Io): Promise<void> {
  if (word === 'ls') return io.write(listing(await runtime.listImages(), values['json'] === true))
  if (word === 'export') return exportImages(names, text(values, 'output'), runtime, io)
  const username = text(values, 'username')
  const auth = word === 'pull' && username !== undefined ? { username, password: await io.readPassword() } : undefined
  for (const name of names) {
    if (word === 'pull') io.write(`${(await runtime.pullImage(name, { ...(auth && { auth }) })).id}\n`)
    // The agent's directory is another.
    else if (word === 'import') for (const image of await runtime.importImages(resolve(name))) io.write(`${image.repoTags[0] ?? image.id}\n`)
    else {
      const found = await runtime.imageStatus(name)
      if (!found) throw new CodedError('IMAGE_UNKNOWN', `there is no image ${JSON.stringify(name)} here; skiff images ls shows them`)
      await runtime.removeImage(name)
      io.write(`${found.id}\n`)
    }
  }
}

/** Into one archive. They stay until it is whole, whatever is removed meanwhile. */
async function exportImages(names: readonly string[], output: string | undefined, runtime: ImageCalls, io: Io): Promise<void> {
  const held = await runtime.holdImages(names)
  try {
    await io.save(output === undefined || output === '-' ? undefined : resolve(output), imageArchive(held.images))
  } finally {
    held.release()
  }
}

/** As crictl prints it: a line for each name of an image. */
export function listing(found: readonly Image[], asJson: boolean): string {
  if (asJson) return `${JSON.stringify(found, undefined, 2)}\n`
  const rows = found.flatMap((image) => {
    const names = image.repoTags.length > 0 ? image.repoTags.map(splitTag) : [[image.repoDigests[0]?.split('@')[0] ?? '<none>', '<none>']]
    return names.map(([name = '', tag = '']) => [name, tag, image.id.replace(/^sha256:/, '').slice(0, 13), sizeText(image.sizeBytes)])
  }).toSorted((a, b) => (a.join(' ') < b.join(' ') ? -1 : 1))
  const table = [['IMAGE', 'TAG', 'IMAGE ID', 'SIZE'], ...rows]
  const widths = [0, 1, 2].map((i) => Math.max(...table.map((row) => row[i]?.length ?? 0)) + 3)
  return `${table.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('').trimEnd()).join('\n')}\n`
}

const splitTag = (name: string): [string, string] => [name.slice(0, name.lastIndexOf(':')), name.slice(name.lastIndexOf(':') + 1)]

/** 2.21MB, as docker and crictl write it: powers of ten, three digits. */
function sizeText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)))
  return `${Number((bytes / 1_000 ** at).toPrecision(3))}${units[at] ?? ''}`
}

/** Without the end of its line. Never on the command line, which everybody on the machine can read. */
async function readPassword(): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > PASSWORD_BYTES_MAX) throw new UsageError('the password on standard input is longer than any')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8').replace(/\r?\n$/, '')
}
