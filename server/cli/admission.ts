/** Which admission plugins the command line and its configuration file ask for. */
import { dirname, resolve } from 'node:path'
import { UsageError } from '#base/errors.ts'
import { choiceProblem, parseAdmissionConfig, type AdmissionChoice } from '../apiserver/admission/choice.ts'
import { readYamlMapping } from './config-file.ts'
import type { FlagValues } from './flags.ts'
import { list, text } from './node-config.ts'

/** Reads the files. Throws UsageError. */
export function admissionChoice(values: FlagValues): AdmissionChoice {
  const [enabled, disabled] = [list(values, 'enable-admission-plugins'), list(values, 'disable-admission-plugins')]
  const problem = choiceProblem({ enabled, disabled })
  if (problem !== undefined) throw new UsageError(problem)
  const path = text(values, 'admission-control-config-file')
  if (path === undefined) return { enabled, disabled, config: {} }
  const read = (file: string) => readYamlMapping(resolve(dirname(path), file), { optional: false, what: 'the admission configuration' })
  const parsed = parseAdmissionConfig(readYamlMapping(path, { optional: false, what: 'the admission configuration' }), read)
  if (!parsed.ok) throw new UsageError(`--admission-control-config-file: ${path}: ${parsed.message}`)
  return { enabled, disabled, config: parsed.config }
}
