/** `skiff version [--json]`. */
import { UsageError } from '#base/errors.ts'
import { GIT_VERSION, SKIFF_COMMIT_ID, SKIFF_VERSION_TEXT } from '#api/version.ts'
import { asksForHelp, helpOf } from './verbs.ts'

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('version'))
    return 0
  }
  const unknown = argv.find((a) => a !== '--json')
  if (unknown !== undefined) throw new UsageError(`unknown ${unknown.startsWith('-') ? 'flag' : 'argument'} ${unknown} for skiff version; it takes --json`)
  const info = { version: SKIFF_VERSION_TEXT, commit: SKIFF_COMMIT_ID, kubernetes: GIT_VERSION, node: process.version, platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}` }
  process.stdout.write(argv.includes('--json') ? `${JSON.stringify(info)}\n` : `skiff ${info.version} (${info.commit}), Kubernetes ${info.kubernetes}, node ${info.node}, ${info.platform}\n`)
  return 0
}
