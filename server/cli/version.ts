/** `skiff version [--json]`. */
import { UsageError } from '#base/errors.ts'
import { GIT_VERSION, SKIFF_COMMIT_ID, SKIFF_VERSION_TEXT } from '#api/version.ts'

export async function run(argv: readonly string[]): Promise<number> {
  const unknown = argv.find((a) => a !== '--json' && a !== '--help')
  if (unknown) throw new UsageError(`unknown flag ${unknown} for skiff version; it takes --json`)
  const info = { version: SKIFF_VERSION_TEXT, commit: SKIFF_COMMIT_ID, kubernetes: GIT_VERSION, node: process.version, platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}` }
  process.stdout.write(argv.includes('--json') ? `${JSON.stringify(info)}\n` : `skiff ${info.version} (${info.commit}), Kubernetes ${info.kubernetes}, node ${info.node}, ${info.platform}\n`)
  return 0
}
