/** `skiff check`: one line for everything a node needs, ok or with the mend; exit 1 when something essential is missing. */
import { UsageError } from '#base/errors.ts'
import { findingLine, hasMissing, judgeMachine } from './check/judge.ts'
import { observeMachine } from './check/observe.ts'
import { readOwnFlags } from './config-file.ts'
import { clock } from './environment.ts'
import { parseFlags } from './flags.ts'
import { runtimeHandlersOf, text } from './node-config.ts'
import { CHECK_FLAGS } from './verb-flags.ts'
import { asksForHelp, helpOf } from './verbs.ts'

export async function run(argv: readonly string[]): Promise<number> {
  if (asksForHelp(argv)) {
    process.stdout.write(helpOf('check'))
    return 0
  }
  const { values, positionals } = parseFlags('check', CHECK_FLAGS, { argv, env: process.env, readConfig: readOwnFlags(CHECK_FLAGS) })
  if (positionals.length > 0) throw new UsageError(`skiff check takes no argument ${JSON.stringify(positionals[0])}`)
  const findings = judgeMachine(await observeMachine({
    dataDir: text(values, 'data-dir') ?? '/var/lib/skiff', ociRuntime: text(values, 'oci-runtime') as 'runc' | 'crun', runtimeHandlers: runtimeHandlersOf(values), flashProfile: text(values, 'flash-profile') as 'normal' | 'gentle', protectKernelDefaults: values['protect-kernel-defaults'] === true, nowMs: clock.nowMs(),
  }))
  process.stdout.write(values['json'] === true ? `${JSON.stringify(findings)}\n` : `${findings.map(findingLine).join('\n')}\n`)
  return hasMissing(findings) ? 1 : 0
}
