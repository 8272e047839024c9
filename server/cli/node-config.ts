/** Flags of a node to the agent's configuration. */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Taint } from '#api/types/index.ts'
import { asError, UsageError } from '#base/errors.ts'
import type { AgentConfig } from '#agent/agent.ts'
import type { KubeletConfig } from '#agent/kubelet/config.ts'
import { parseProviderConfig } from '#agent/kubelet/credential-providers/provider-config.ts'
import type { OverlayKind } from '#cni/index.ts'
import { parseRegistries, type RegistriesConfig } from '#cri/index.ts'
import { readYamlMapping } from './config-file.ts'
import { flagTexts, type Flag, type FlagValues } from './flags.ts'
import { defaultNodeIp, hostName } from './host.ts'
import { nodeName as checkNodeName } from './flag-checks.ts'
import { kubeletSettings } from './kubelet-flags.ts'
import { readProviderFiles } from './provider-files.ts'
import { resolvConfFor } from './resolv-conf.ts'
import { rootDirOf } from './root-dir.ts'

const REGISTRIES_FILE = '/etc/skiff/registries.yaml'

export const text = (values: FlagValues, name: string): string | undefined => {
  const value = values[name]
  return value === undefined || value === '' ? undefined : String(value)
}

export const list = (values: FlagValues, name: string): readonly string[] => (values[name] as readonly string[] | undefined) ?? []

export function agentConfig(values: FlagValues, flags: readonly Flag[], servers: readonly string[], token: string | undefined): AgentConfig {
  const runtimeEndpoint = parseEndpoint(text(values, 'container-runtime-endpoint'))
  const registries = readRegistries()
  const nodeName = text(values, 'node-name') ?? hostName()
  const problem = checkNodeName(nodeName)
  if (problem) throw new UsageError(`--node-name: ${problem}; the host name cannot be used, pass another`)
  return {
    servers, token, nodeName, flags: flagTexts(flags, values),
    dataDir: text(values, 'data-dir') ?? '/var/lib/skiff',
    rootDir: rootDirOf(values),
    stateDir: text(values, 'state-dir') ?? '/run/skiff',
    nodeIp: text(values, 'node-ip') ?? defaultNodeIp(),
    nodeLabels: Object.fromEntries(list(values, 'node-label').map((l) => [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)])),
    nodeTaints: list(values, 'node-taint').map(parseTaint),
    overlay: text(values, 'overlay') as OverlayKind,
    runtimeEndpoint,
    ociRuntime: text(values, 'oci-runtime') as 'runc' | 'crun',
    runtimeHandlers: runtimeHandlersOf(values),
    cgroupRoot: text(values, 'cgroup-root') ?? '',
    kubelet: { ...kubeletSettings(values), resolvConf: resolvConfFor(text(values, 'resolv-conf')), credentialProviders: credentialProviders(values), dockerConfigFiles: dockerConfigFiles(rootDirOf(values)) },
    dnsResolvConf: text(values, 'resolv-conf'),
    flashProfile: text(values, 'flash-profile') as 'normal' | 'gentle',
    registries: Object.keys(registries).length === 0 ? undefined : registries,
  }
}

/** By name, its program. */
export function runtimeHandlersOf(values: FlagValues): ReadonlyMap<string, string> {
  return new Map(list(values, 'runtime-handler').map((entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]))
}

/** A path, or `unix://` and a path, as upstream's kubelet takes it. */
function parseEndpoint(endpoint: string | undefined): string | undefined {
  const path = endpoint?.replace(/^unix:\/\//, '')
  if (path !== undefined && !path.startsWith('/')) throw new UsageError(`--container-runtime-endpoint: ${JSON.stringify(endpoint)} is no unix socket: give a path such as /run/containerd/containerd.sock, or leave it out to use the embedded runtime`)
  return path
}

function readRegistries(): RegistriesConfig {
  const file = readYamlMapping(REGISTRIES_FILE, { optional: true, what: 'the registries file' })
  try {
    return parseRegistries(file)
  } catch (error) {
    throw new UsageError(`the registries file ${REGISTRIES_FILE}: ${asError(error).message}`, { cause: error })
  }
}

/** Where a kubelet looks: below --root-dir, where it runs, at home, at the root; the older form last. */
function dockerConfigFiles(rootDir: string): string[] {
  const [home, here] = [homedir(), process.cwd()]
  return [...[rootDir, here, join(home, '.docker'), '/.docker'].map((dir) => join(dir, 'config.json')), ...[rootDir, here, home, '/'].map((dir) => join(dir, '.dockercfg'))]
}

/** Programs get this process's variables, but none of skiff's own: those may hold tokens. */
function credentialProviders(values: FlagValues): KubeletConfig['credentialProviders'] {
  const [path, binDir] = [text(values, 'image-credential-provider-config'), text(values, 'image-credential-provider-bin-dir')]
  if (path === undefined && binDir === undefined) return undefined
  if (path === undefined) throw new UsageError('--image-credential-provider-bin-dir: pass --image-credential-provider-config, too')
  if (binDir === undefined) throw new UsageError('--image-credential-provider-config: pass --image-credential-provider-bin-dir, too')
  const environment = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined || name.startsWith('SKIFF_') ? [] : [[name, value]])))
  const { files, hash: configHash } = readProviderFiles(path)
  try {
    const providers = parseProviderConfig(...files)
    for (const { name } of providers) accessSync(join(binDir, name), constants.X_OK)
    return { providers, binDir: resolve(binDir), environment, configHash }
  } catch (error) {
    throw new UsageError(`--image-credential-provider-config ${path}: ${asError(error).message}`, { cause: error })
  }
}

function parseTaint(flag: string): Taint {
  const at = flag.lastIndexOf(':')
  const [key = '', value] = flag.slice(0, at).split('=')
  return { key, effect: flag.slice(at + 1), ...(value && { value }) }
}
