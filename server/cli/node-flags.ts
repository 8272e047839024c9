/** The command line of a verb that runs a node. What `--kubelet-config` names is the least of its sources, as a kubelet's flags go before its configuration. */
import { dirname, resolve } from 'node:path'
import { asError, UsageError } from '#base/errors.ts'
import { readYamlMapping } from './config-file.ts'
import { parseFlags, type Flag, type FlagSources, type ParsedFlags } from './flags.ts'

export async function parseNodeFlags(verb: string, flags: readonly Flag[], { argv, env }: Pick<FlagSources, 'argv' | 'env'>): Promise<ParsedFlags> {
  const readConfig: FlagSources['readConfig'] = (path, isDefault) => readYamlMapping(path, { optional: isDefault, what: 'the config file' })
  const parsed = parseFlags(verb, flags, { argv, env, readConfig })
  const path = parsed.values['kubelet-config']
  if (path === undefined) return parsed
  const { kubeletFlags } = await import('./kubelet-config.ts')
  const file = resolve(String(path))
  const config = readYamlMapping(file, { optional: false, what: 'the kubelet configuration' })
  try {
    const given = kubeletFlags(config, dirname(file), flags)
    return parseFlags(verb, flags, { argv, env, readConfig: (own, isDefault) => ({ ...given, ...readConfig(own, isDefault) }) })
  } catch (error) {
    throw new UsageError(`--kubelet-config ${file}: ${asError(error).message}`, { cause: error })
  }
}
