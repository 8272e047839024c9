/** Brings an image onto the node by its pull policy, be it a container's or a volume's, telling upstream's Events on the way. */
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Pod, Secret, Stored } from '#api/types/index.ts'
import type { ContainerRuntime, Image, RegistryAuth } from '#cri/index.ts'
import type { CredentialProviders } from './credential-providers/credential-providers.ts'
import type { PullSecret, PullServiceAccount } from './image-access/access.ts'
import type { ImageAccess } from './image-access/image-access.ts'
import type { NodeCredentials } from './node-credentials.ts'
import { imageCredentials } from './pull-secrets.ts'
import { createSemaphore } from './semaphore.ts'
import { StartError, type PullFailure } from './start-error.ts'
import { createCounter } from './stats/counter.ts'
import type { MetricFamily } from './stats/metrics-text.ts'

export type ContainerEvent = (type: 'Normal' | 'Warning', reason: string, message: string) => void

export interface ImagePuller {
  /** Throws a StartError with upstream's reason. */
  ensure(request: { pod: Stored<Pod>; image: string; policy: string | undefined; secrets: readonly Secret[]; event: ContainerEvent }, signal: AbortSignal): Promise<Image>
  metrics(): MetricFamily[]
}

export interface ImagePullerDeps { runtime: ContainerRuntime; access: Pick<ImageAccess, 'mayUse' | 'pulling'>; providers?: CredentialProviders | undefined; node?: NodeCredentials | undefined; clock: Clock; log: Log; maxParallelPulls: number; pulls?: PullWatch }

/** Told of the pulls that the registry is asked for. */
export interface PullWatch {
  /** What it returns is called once it has ended. */
  begins(podUid: string): () => void
  /** `tookMs`: with the wait for others. */
  done(sizeBytes: number, tookMs: number): void
}

export function createImagePuller({ runtime, access, providers, node, clock, log, maxParallelPulls, pulls }: ImagePullerDeps): ImagePuller {
  const slots = createSemaphore(maxParallelPulls)
  const requests = createCounter()
  return {
    metrics: () => [{ name: 'kubelet_image_manager_ensure_image_requests_total', help: '[ALPHA] Number of ensure-image requests processed by the kubelet.', type: 'counter', samples: requests.samples() }],
    async ensure({ pod, image, secrets, event, ...wanted }, signal) {
      const policy = wanted.policy ?? defaultPolicy(image)
      const counted = (present_locally: boolean | 'unknown', pull_required: boolean | 'unknown') => requests.add({ pull_policy: policy.toLowerCase(), present_locally: String(present_locally), pull_required: String(pull_required) })
      if (!isImageName(image)) {
        counted('unknown', 'unknown')
        const message = `Failed to apply default image tag "${image}": couldn't parse image name "${image}": ${referenceProblem(image)}`
        event('Warning', 'InspectFailed', message)
        throw new StartError('InvalidImageName', message)
      }
      // One that is pulled anyhow is not looked for.
      const present = policy === 'Always' ? undefined : await inspect(runtime, image, event).catch((error: unknown) => {
        counted('unknown', 'unknown')
        throw error
      })
      const credentials = imageCredentials(image, secrets)
      let asked: ReturnType<CredentialProviders['credentialsFor']> | undefined
      const provided = () => (asked ??= providers?.credentialsFor(image, pod) ?? Promise.resolve([]))
      if (present && await access.mayUse(image, present, credentials.flatMap((c) => c.secret ?? []), async () => (await provided()).find((c) => c.account)?.account)) {
        counted(true, false)
        event('Normal', 'Pulled', `Container image "${image}" already present on machine and can be accessed by the pod`)
        return present
      }
      // Who may not use it is not told either that it is here.
      if (policy === 'Never') {
        counted(present !== undefined, present ? true : 'unknown')
        const message = `Container image "${image}" is not present with pull policy of Never`
        event('Warning', 'ErrImageNeverPull', message)
        throw new StartError('ErrImageNeverPull', message)
      }
      counted(policy === 'Always' ? 'unknown' : present !== undefined, true)
      const askedMs = clock.monotonicMs()
      event('Normal', 'Pulling', `Pulling image "${image}"`)
      const release = await slots.take(signal)
      const startedMs = clock.monotonicMs()
      const ended = pulls?.begins(pod.metadata.uid)
      try {
        const all = [...credentials.map(({ auth, secret }) => ({ auth, source: secret })), ...(await node?.credentialsFor(image) ?? []).map((auth) => ({ auth, source: undefined })), ...(await provided()).map(({ auth, account }) => ({ auth, source: account }))]
        const pulled = await access.pulling(image, () => pull(image, all, signal))
        const nowMs = clock.monotonicMs()
        pulls?.done(pulled.sizeBytes, nowMs - askedMs)
        event('Normal', 'Pulled', `Successfully pulled image "${image}" in ${goDuration(nowMs - startedMs)} (${goDuration(nowMs - askedMs)} including waiting). Image size: ${pulled.sizeBytes} bytes.`)
        return pulled
      } catch (error) {
        signal.throwIfAborted()
        const { message } = asError(error)
        event('Warning', 'Failed', `Failed to pull image "${image}": ${message}`)
        log.warn('image pull failed', { image, pod: `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`, error: asError(error) })
        const { reason, text } = pullFailure(image, message)
        throw new StartError(reason, text, { cause: error })
      } finally {
        ended?.()
        release()
      }
    },
  }

  /** With each fitting credential in turn; without any when none fits. */
  async function pull(image: string, credentials: readonly { auth: RegistryAuth; source: PullSecret | PullServiceAccount | undefined }[], signal: AbortSignal): Promise<{ image: Image; with: PullSecret | PullServiceAccount | undefined }> {
    const onProgress = (progress: { kind: string }) => log.debug('pulling', { image, ...progress })
    const failures: unknown[] = []
    for (const credential of credentials.length > 0 ? credentials : [undefined]) {
      try {
        return { image: await runtime.pullImage(image, { ...(credential && { auth: credential.auth }), onProgress, signal }), with: credential?.source }
      } catch (error) {
        signal.throwIfAborted()
        failures.push(error)
      }
    }
    if (failures.length === 1) throw failures[0]
    // As Go prints several: each once.
    throw new CodedError('IMAGE_PULL_FAILED', aggregated(failures.map((error) => asError(error).message)), { cause: failures.at(-1) })
  }
}

function aggregated(messages: readonly string[]): string {
  const [first = '', ...others] = new Set(messages)
  return others.length === 0 ? first : `[${[first, ...others].join(', ')}]`
}

/** Errors that CRI has names for: the runtime's message begins with them. */
const NAMED: Readonly<Record<Exclude<PullFailure, 'ErrImagePull'>, string>> = { RegistryUnavailable: 'the registry is unavailable', SignatureValidationFailed: 'the signature validation failed' }

export function pullFailure(image: string, message: string): { reason: PullFailure; text: string } {
  for (const [reason, why] of Object.entries(NAMED) as [keyof typeof NAMED, string][]) {
    if (message.startsWith(reason)) return { reason, text: `image pull failed for ${image} because ${why}${message.slice(reason.length)}` }
  }
  return { reason: 'ErrImagePull', text: message }
}

async function inspect(runtime: ContainerRuntime, image: string, event: ContainerEvent): Promise<Image | undefined> {
  try {
    return await runtime.imageStatus(image)
  } catch (error) {
    const message = `Failed to inspect image "${image}": ${asError(error).message}`
    event('Warning', 'InspectFailed', message)
    throw new StartError('ImageInspectError', message, { cause: error })
  }
}

/** Always for `:latest` and for no tag at all; the API server's defaulting says so already. */
function defaultPolicy(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1)
  if (image.includes('@')) return 'IfNotPresent'
  return !last.includes(':') || last.endsWith(':latest') ? 'Always' : 'IfNotPresent'
}

/** The distribution reference grammar, bounded. */
export function isImageName(image: string): boolean {
  if (image.length === 0 || image.length > 4_096) return false
  return /^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$/.test(image)
}

/** The distribution library's words for what is no image name. */
function referenceProblem(image: string): string {
  if (isImageName(image.toLowerCase())) {
    const parts = image.replace(/@.*$/, '').split('/')
    const first = parts[0] ?? ''
    const hasHost = parts.length > 1 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
    const remote = (hasHost ? parts.slice(1) : parts).join('/').replace(/:[^:]*$/, '')
    const repository = hasHost || remote.includes('/') ? remote : `library/${remote}`
    if (repository !== repository.toLowerCase()) return `invalid reference format: repository name (${repository}) must be lowercase`
  }
  return 'invalid reference format'
}

/** As Go prints a duration cut to milliseconds: 850ms, 1.2s, 1m2.5s. */
export function goDuration(ms: number): string {
  const whole = Math.max(0, Math.floor(ms))
  if (whole === 0) return '0s'
  if (whole < 1000) return `${whole}ms`
  const hours = Math.floor(whole / 3_600_000)
  const minutes = Math.floor((whole % 3_600_000) / 60_000)
  const seconds = String((whole % 60_000) / 1000)
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}
