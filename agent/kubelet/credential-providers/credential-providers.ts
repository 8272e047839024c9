/**
 * Credentials for registries that programs on this machine tell (the kubelet's image credential providers, KEP-2133): asked with the image on
 * standard input when it is to be pulled, kept as long as they say. One that fails is logged, and the pull goes on without it. Those that are told
 * so get a token of the pod's service account with it (KEP-4412); what they answer counts for that account only.
 */
import { createHash } from 'node:crypto'
import { execFile, type ExecFileException } from 'node:child_process'
import { join } from 'node:path'
import type { Pod, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { RegistryAuth } from '#cri/index.ts'
import type { PullServiceAccount } from '../image-access/access.ts'
import { createCounter } from '../stats/counter.ts'
import { createHistogram, DEFAULT_BOUNDS } from '../stats/histogram.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import { bySpecificity, fitsImage, registryPattern, wholeRepository } from '../pull-secrets.ts'
import { ms } from './provider-config.ts'
import type { ServiceAccounts } from './service-accounts.ts'
import type { CredentialProvider, CredentialProviderSettings } from './settings.ts'

export interface CredentialProviders {
  /** Those that fit the image, the most specific first. Never rejects. */
  credentialsFor(image: string, pod: Stored<Pod>): Promise<ProvidedCredential[]>
  metrics(): MetricFamily[]
}

/** `account`: in whose name they were given; undefined: they are the node's. */
export interface ProvidedCredential { auth: RegistryAuth; account: PullServiceAccount | undefined }

/** In whose name a provider is asked. `key`: what answers for it are kept by. */
interface Asker { account: PullServiceAccount; token: string; annotations: Readonly<Record<string, string>>; key: string }

interface Answer { cacheKeyType: 'Image' | 'Registry' | 'Global'; cacheMs: number; auth: readonly { pattern: string; auth: RegistryAuth }[] }

const TIMEOUT_MS = 60_000
const OUTPUT_BYTES_MAX = 1024 * 1024
/** Of what it says is wrong, for the log. */
const STDERR_LENGTH_MAX = 1_000
/** Of all providers together; one that keeps an answer for each image must not fill the memory. */
const KEPT_MAX = 256

/** `signal`: of the agent's life; programs that still run then are killed. */
export interface CredentialProvidersDeps { clock: Clock; log: Log; accounts: ServiceAccounts; signal: AbortSignal }

export function createCredentialProviders({ providers, binDir, environment, configHash }: CredentialProviderSettings, deps: CredentialProvidersDeps): CredentialProviders {
  const { clock, accounts, signal } = deps
  const log = deps.log.with('credential-providers')
  const kept = new Map<string, { answer: Answer; untilMs: number }>()
  const asking = new Map<string, Promise<string>>()
  const errors = createCounter()
  const durations = createHistogram({ name: 'kubelet_credential_provider_plugin_duration', help: '[ALPHA] Duration of execution in seconds for credential provider plugin', bounds: DEFAULT_BOUNDS, labels: ['plugin_name'] })

  /** 'nobody': it is asked without. Undefined: the pod is not its business. */
  const askerOf = async ({ name, token: attributes }: CredentialProvider, image: string, pod: Stored<Pod>): Promise<Asker | 'nobody' | undefined> => {
    if (!attributes) return 'nobody'
    const { namespace = '' } = pod.metadata
    const accountName = pod.spec?.serviceAccountName ?? ''
    if (accountName === '') return attributes.requireServiceAccount ? undefined : 'nobody'
    const found = await accounts.get(namespace, accountName)
    const missing = attributes.requiredAnnotations.find((key) => found.annotations[key] === undefined)
    if (missing !== undefined) {
      log.debug('a service account is not a credential provider\'s business', { provider: name, image, serviceAccount: `${namespace}/${accountName}`, annotation: missing })
      return undefined
    }
    const annotations = Object.fromEntries([...attributes.requiredAnnotations, ...attributes.optionalAnnotations].toSorted().flatMap((key) => (found.annotations[key] === undefined ? [] : [[key, found.annotations[key]]])))
    const token = await accounts.token(pod, found.uid, attributes.audience)
    const key = JSON.stringify([namespace, accountName, found.uid, annotations, ...(attributes.cacheType === 'Token' ? [createHash('sha256').update(token).digest('hex')] : [])])
    return { account: { uid: found.uid, namespace, name: accountName }, token, annotations, key }
  }

  const timed = (plugin_name: string, run: Promise<string>): Promise<string> => {
    const beganMs = clock.monotonicMs()
    return run.catch((error: unknown) => {
      errors.add({ plugin_name })
      throw error
    }).finally(() => durations.observe((clock.monotonicMs() - beganMs) / 1_000, { plugin_name }))
  }

  const ask = async (provider: CredentialProvider, image: string, asker: Asker | undefined): Promise<Answer> => {
    const registry = image.slice(0, image.indexOf('/'))
    const whose = asker ? ` for ${asker.key}` : ''
    const keys = { Image: `${provider.name} image ${image}${whose}`, Registry: `${provider.name} registry ${registry}${whose}`, Global: `${provider.name} global${whose}` }
    for (const key of Object.values(keys)) {
      const found = kept.get(key)
      if (found && found.untilMs > clock.monotonicMs()) return found.answer
      kept.delete(key)
    }
    // Pods that start together ask once; with tokens, those of the same one.
    const flight = `${keys.Image} ${asker?.token ?? ''}`
    const run = asking.get(flight) ?? timed(provider.name, execProvider(provider, image, asker, { binDir, environment, signal })).finally(() => asking.delete(flight))
    asking.set(flight, run)
    const answer = parseAnswer(await run, provider)
    // What is the token itself must not be kept longer than the token.
    if (asker && provider.token?.cacheType !== 'Token' && answer.auth.some(({ auth }) => auth.password === asker.token)) {
      throw new CodedError('CREDENTIAL_PROVIDER_FAILED', 'credential provider plugin returned the service account token as the password which is not allowed when service account cache type is not set to \'Token\'')
    }
    if (answer.cacheMs > 0) {
      if (kept.size >= KEPT_MAX) for (const [key, { untilMs }] of kept) if (untilMs <= clock.monotonicMs()) kept.delete(key)
      const [oldest] = kept.keys()
      if (kept.size >= KEPT_MAX && oldest !== undefined) kept.delete(oldest)
      kept.set(keys[answer.cacheKeyType], { answer, untilMs: clock.monotonicMs() + answer.cacheMs })
    }
    return answer
  }

  return {
    metrics: () => [
      { name: 'kubelet_credential_provider_config_info', help: '[ALPHA] Information about the last applied credential provider configuration with hash as label', type: 'gauge', samples: [{ labels: { hash: configHash }, value: 1 }] },
      durations.family(),
      { name: 'kubelet_credential_provider_plugin_errors_total', help: '[ALPHA] Number of errors from credential provider plugin', type: 'counter', samples: errors.samples() },
    ],
    async credentialsFor(image, pod) {
      const whole = wholeRepository(image)
      const found: { pattern: string; credential: ProvidedCredential }[] = []
      for (const provider of providers.filter((p) => p.matchImages.some((pattern) => fitsImage(pattern, image)))) {
        try {
          const asker = await askerOf(provider, whole, pod)
          if (asker === undefined) continue
          const { auth: all } = await ask(provider, whole, asker === 'nobody' ? undefined : asker)
          for (const { pattern, auth } of all) if (fitsImage(pattern, image)) found.push({ pattern: registryPattern(pattern), credential: { auth, account: asker === 'nobody' ? undefined : asker.account } })
        } catch (error) {
          log.error('a credential provider does not tell credentials: see that it runs on this machine', { provider: provider.name, image: whole, ...(provider.token && { pod: `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`, serviceAccount: pod.spec?.serviceAccountName ?? '' }), error: asError(error) })
        }
      }
      return found.toSorted(bySpecificity).map(({ credential }) => credential)
    },
  }
}

/** What it answers. Rejects with what it said on standard error, never with what it answered. */
function execProvider(provider: CredentialProvider, image: string, asker: Asker | undefined, { binDir, environment, signal }: Pick<CredentialProviderSettings, 'binDir' | 'environment'> & { signal: AbortSignal }): Promise<string> {
  const { name, args, env, apiVersion } = provider
  return new Promise((resolve, reject) => {
    const child = execFile(join(binDir, name), [...args], { signal, timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX, env: { ...environment, ...env } }, (error, stdout, stderr) => {
      if (error) reject(new CodedError('CREDENTIAL_PROVIDER_FAILED', `error execing credential provider plugin ${name} for image ${image}: ${stderr.trim().slice(0, STDERR_LENGTH_MAX) || howItFailed(error)}`))
      else resolve(stdout)
    })
    child.stdin?.on('error', () => {}) // It did not read what it was asked: its answer counts.
    child.stdin?.end(JSON.stringify({ kind: 'CredentialProviderRequest', apiVersion, image, ...(asker && { serviceAccountToken: asker.token, ...(Object.keys(asker.annotations).length > 0 && { serviceAccountAnnotations: asker.annotations }) }) }))
  })
}

/** Not by Node's message, which quotes its arguments. */
function howItFailed({ code, killed, signal }: ExecFileException): string {
  if (code === 'ABORT_ERR') return 'the agent stops'
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return `it answered with more than ${OUTPUT_BYTES_MAX} bytes`
  if (killed === true) return `it did not answer within ${TIMEOUT_MS / 1_000} s`
  return signal ? `killed by ${signal}` : typeof code === 'number' ? `exit status ${code}` : `it cannot be run: ${String(code)}`
}

/** Throws without quoting it: it holds passwords. */
export function parseAnswer(text: string, { name, apiVersion, defaultCacheMs }: CredentialProvider): Answer {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new CodedError('CREDENTIAL_PROVIDER_FAILED', `provider ${name} answered what is no JSON`)
  }
  const answer = value as { kind?: unknown; apiVersion?: unknown; cacheKeyType?: unknown; cacheDuration?: unknown; auth?: unknown } | null
  if (answer?.kind !== 'CredentialProviderResponse' || answer.apiVersion !== apiVersion) throw new CodedError('CREDENTIAL_PROVIDER_FAILED', `provider ${name} did not answer with a CredentialProviderResponse of ${apiVersion}`)
  const known = ['kind', 'apiVersion', 'cacheKeyType', 'cacheDuration', 'auth']
  const auths = Object.values((answer.auth ?? {}) as Record<string, object | null>)
  if (Object.keys(answer).some((key) => !known.includes(key)) || auths.some((auth) => Object.keys(auth ?? {}).some((key) => key !== 'username' && key !== 'password'))) {
    throw new CodedError('CREDENTIAL_PROVIDER_FAILED', 'error decoding credential provider plugin response from stdout')
  }
  const { cacheKeyType } = answer
  if (cacheKeyType !== 'Image' && cacheKeyType !== 'Registry' && cacheKeyType !== 'Global') throw new CodedError('CREDENTIAL_PROVIDER_FAILED', `credential provider plugin did not return a valid cacheKeyType: ${String(cacheKeyType)}`)
  return {
    cacheKeyType, cacheMs: typeof answer.cacheDuration === 'string' ? ms(answer.cacheDuration) : defaultCacheMs,
    auth: Object.entries((answer.auth ?? {}) as Record<string, { username?: unknown; password?: unknown } | null>).map(([pattern, auth]) => ({ pattern, auth: { username: textOf(auth?.username), password: textOf(auth?.password) } })),
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
