/**
 * Which plugins are on, and what they are configured with: --enable-admission-plugins, --disable-admission-plugins and
 * --admission-control-config-file, with kube-apiserver's names and words. Pure.
 */
import type { WebhookIdentities, WebhookServer } from '../webhook-client/index.ts'
import type { TolerationSeconds } from './default-toleration-seconds.ts'
import { parseEventLimits, type EventLimit } from './event-rate-limit.ts'
import { parseImagePolicy, type ImagePolicyConfig } from './image-policy-webhook.ts'
import { PLUGIN_NAMES } from './order.ts'
import type { NodeSelectorConfig } from './pod-node-selector.ts'
import { parsePodSecurityConfig, type PodSecurityConfig } from './pod-security/configuration.ts'
import { parseTolerationConfig, type TolerationConfig } from './pod-toleration-restriction.ts'
import { parseLimitedResources, type LimitedResource } from './resource-quota/configuration.ts'

export interface AdmissionChoice {
  enabled: readonly string[]
  disabled: readonly string[]
  config: AdmissionConfig
}

export interface AdmissionConfig {
  podSecurity?: PodSecurityConfig
  limitedResources?: readonly LimitedResource[]
  eventLimits?: readonly EventLimit[]
  nodeSelectors?: NodeSelectorConfig
  tolerations?: TolerationConfig
  /** By flags. */
  tolerationSeconds?: TolerationSeconds
  imagePolicy?: ImagePolicyConfig
  /** Who this server is to admission webhooks. */
  webhookIdentities?: { mutating?: WebhookIdentities; validating?: WebhookIdentities }
}

/** Files that a configuration names, relative to it. Both throw when they cannot. */
export interface ConfigFiles {
  /** A plugin's own configuration, as it is parsed. */
  read(path: string): unknown
  /** A kubeconfig that names a webhook. */
  kubeconfig(path: string): WebhookServer
  /** A kubeconfig whose users are named after webhooks. */
  identities(path: string): WebhookIdentities
}

/** On unless disabled; upstream's set, less what needs a cloud. */
const DEFAULT_ON: ReadonlySet<string> = new Set([
  'NamespaceLifecycle', 'LimitRanger', 'ServiceAccount', 'DefaultStorageClass', 'PersistentVolumeClaimResize', 'DefaultTolerationSeconds', 'MutatingAdmissionWebhook', 'ValidatingAdmissionWebhook',
  'ResourceQuota', 'StorageObjectInUseProtection', 'Priority', 'TaintNodesByCondition', 'RuntimeClass', 'CertificateApproval', 'CertificateSigning', 'ClusterTrustBundleAttest',
  'CertificateSubjectRestriction', 'DefaultIngressClass', 'PodSecurity', 'PodTopologyLabels', 'NodeDeclaredFeatureValidator', 'PodResizeValidator', 'MutatingAdmissionPolicy', 'ValidatingAdmissionPolicy', 'NodeRestriction',
])

/** One line, or undefined. */
export function choiceProblem({ enabled, disabled }: Pick<AdmissionChoice, 'enabled' | 'disabled'>): string | undefined {
  const both = enabled.filter((name) => disabled.includes(name))
  if (both.length > 0) return `[${both.join(' ')}] in enable-admission-plugins and disable-admission-plugins overlapped`
  const unknown = (flag: string, names: readonly string[]): string | undefined => {
    const name = names.find((n) => !PLUGIN_NAMES.includes(n))
    return name === undefined ? undefined : `${flag} plugin ${JSON.stringify(name)} is unknown`
  }
  return unknown('enable-admission-plugins', enabled) ?? unknown('disable-admission-plugins', disabled)
}

/** Plugins that mean nothing without their configuration. */
export function configProblem({ enabled, config }: AdmissionChoice): string | undefined {
  const needs = (name: string, has: unknown): string | undefined => (enabled.includes(name) && has === undefined ? `enable-admission-plugins plugin "${name}" needs a configuration in --admission-control-config-file` : undefined)
  return needs('ImagePolicyWebhook', config.imagePolicy) ?? needs('EventRateLimit', config.eventLimits)
}

export function isOn(name: string, { enabled, disabled }: Pick<AdmissionChoice, 'enabled' | 'disabled'>): boolean {
  // Plugins that are ours alone guard what upstream guards elsewhere: nobody turns them off.
  return !disabled.includes(name) && (DEFAULT_ON.has(name) || enabled.includes(name) || !PLUGIN_NAMES.includes(name))
}

const VERSIONS = ['apiserver.config.k8s.io/v1', 'apiserver.k8s.io/v1alpha1']

/** Of an AdmissionConfiguration. */
export function parseAdmissionConfig(input: Readonly<Record<string, unknown>>, files: ConfigFiles): { ok: true; config: AdmissionConfig } | { ok: false; message: string } {
  if (input['kind'] !== 'AdmissionConfiguration' || !VERSIONS.includes(String(input['apiVersion']))) {
    return { ok: false, message: `no kind ${JSON.stringify(input['kind'] ?? '')} is registered for version ${JSON.stringify(input['apiVersion'] ?? '')}: expected AdmissionConfiguration of ${VERSIONS[0] ?? ''}` }
  }
  const plugins = input['plugins'] ?? []
  if (!Array.isArray(plugins)) return { ok: false, message: 'plugins: must be a list' }
  const config: AdmissionConfig = {}
  for (const [i, plugin] of (plugins as ({ name?: unknown; path?: unknown; configuration?: unknown } | null)[]).entries()) {
    const name = plugin?.name
    if (typeof name !== 'string' || name === '') return { ok: false, message: `plugins[${i}].name: Required value` }
    if (!PLUGIN_NAMES.includes(name)) return { ok: false, message: `plugins[${i}].name: ${JSON.stringify(name)} is unknown` }
    const own = plugin?.configuration ?? (typeof plugin?.path === 'string' && plugin.path !== '' ? files.read(plugin.path) : undefined)
    if (own === undefined || own === null) continue
    const problem = take(config, name, own, files)
    if (problem !== undefined) return { ok: false, message: `plugin ${name}: ${problem}` }
  }
  return { ok: true, config }
}

function take(config: AdmissionConfig, name: string, own: unknown, files: ConfigFiles): string | undefined {
  switch (name) {
    case 'PodSecurity': {
      const parsed = parsePodSecurityConfig(own)
      if (!parsed.ok) return parsed.message
      config.podSecurity = parsed.config
      return undefined
    }
    case 'ResourceQuota': {
      const parsed = parseLimitedResources(own)
      if (!parsed.ok) return parsed.message
      config.limitedResources = parsed.limited
      return undefined
    }
    case 'EventRateLimit': {
      const parsed = parseEventLimits(own)
      if (!parsed.ok) return parsed.message
      config.eventLimits = parsed.limits
      return undefined
    }
    case 'PodNodeSelector': {
      const selectors = (own as { podNodeSelectorPluginConfig?: unknown }).podNodeSelectorPluginConfig
      if (typeof selectors !== 'object' || selectors === null || Object.values(selectors).some((value) => typeof value !== 'string')) return 'podNodeSelectorPluginConfig: must be a mapping of namespaces to selectors'
      config.nodeSelectors = selectors as NodeSelectorConfig
      return undefined
    }
    case 'PodTolerationRestriction': {
      const parsed = parseTolerationConfig(own)
      if (!parsed.ok) return parsed.message
      config.tolerations = parsed.config
      return undefined
    }
    case 'ImagePolicyWebhook': {
      const parsed = parseImagePolicy(own, (path) => files.kubeconfig(path))
      if (!parsed.ok) return parsed.message
      config.imagePolicy = parsed.config
      return undefined
    }
    case 'MutatingAdmissionWebhook': case 'ValidatingAdmissionWebhook': {
      const { kind, kubeConfigFile } = own as { kind?: unknown; kubeConfigFile?: unknown }
      if (kind !== 'WebhookAdmissionConfiguration' && kind !== 'WebhookAdmission') return `no kind ${JSON.stringify(kind ?? '')} is registered: expected WebhookAdmissionConfiguration`
      if (typeof kubeConfigFile !== 'string' || kubeConfigFile === '') return undefined
      config.webhookIdentities = { ...config.webhookIdentities, [name === 'MutatingAdmissionWebhook' ? 'mutating' : 'validating']: files.identities(kubeConfigFile) }
      return undefined
    }
    default: return 'takes no configuration'
  }
}
