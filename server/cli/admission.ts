/** Which admission plugins the command line and its configuration file ask for. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UsageError } from '#base/errors.ts'
import { choiceProblem, configProblem, parseAdmissionConfig, type AdmissionChoice, type AdmissionConfig } from '../apiserver/admission/choice.ts'
import { parseWebhookIdentities, parseWebhookKubeconfig } from '../apiserver/webhook-client/index.ts'
import { readYamlMapping } from './config-file.ts'
import type { FlagValues } from './flags.ts'
import { list, text } from './node-config.ts'

/** Reads the files. Throws UsageError. */
export function admissionChoice(values: FlagValues): AdmissionChoice {
  const [enabled, disabled] = [list(values, 'enable-admission-plugins'), list(values, 'disable-admission-plugins')]
  const problem = choiceProblem({ enabled, disabled })
  if (problem !== undefined) throw new UsageError(problem)
  const path = text(values, 'admission-control-config-file')
  const choice = { enabled, disabled, config: { ...(path !== undefined && configOf(path)), tolerationSeconds: { notReady: Number(values['default-not-ready-toleration-seconds']), unreachable: Number(values['default-unreachable-toleration-seconds']) } } }
  const lacking = configProblem(choice)
  if (lacking !== undefined) throw new UsageError(lacking)
  return choice
}

function configOf(path: string): AdmissionConfig {
  const at = (file: string): string => resolve(dirname(path), file)
  const read = (file: string) => readYamlMapping(file, { optional: false, what: 'the admission configuration' })
  const kubeconfig = (file: string) => parseWebhookKubeconfig(at(file), 'admission-control-config-file', (f) => readFileSync(f, 'utf8'))
  const identities = (file: string) => parseWebhookIdentities(at(file), 'admission-control-config-file', (f) => readFileSync(f, 'utf8'))
  const parsed = parseAdmissionConfig(read(path), { read: (file) => read(at(file)), kubeconfig, identities })
  if (!parsed.ok) throw new UsageError(`--admission-control-config-file: ${path}: ${parsed.message}`)
  return parsed.config
}
