/** ImagePolicyWebhook: another server says which images may run (ImageReview of imagepolicy.k8s.io/v1alpha1). */
import type { Container, Pod } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { Random } from '#base/random.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { createAnswerCache } from '../webhook-client/answer-cache.ts'
import { createWebhookClient, type WebhookClient, type WebhookServer } from '../webhook-client/index.ts'
import { callWithRetry, EVERYBODYS } from '../webhook-client/retry.ts'
import { isFor, refuse } from './refuse.ts'

export interface ImagePolicyConfig {
  server: WebhookServer
  allowSeconds: number
  denySeconds: number
  /** What holds while the server cannot be asked. */
  defaultAllow: boolean
}

interface Review { status?: { allowed?: unknown; reason?: unknown; auditAnnotations?: unknown } }
interface Answer { allowed: boolean; reason: string; annotations: Readonly<Record<string, unknown>> }

const ENTRIES_MAX = 1024
const TIMEOUT_MS = 30_000
const FAILED_OPEN = 'alpha.image-policy.k8s.io/failed-open'
const PREFIX = 'imagepolicywebhook.image-policy.k8s.io/'
/** What may be told the server is marked as meant for it. */
const FOR_SERVER = '.image-policy.k8s.io/'
const SECONDS = { allowTTL: { usual: 300, most: 1800 }, denyTTL: { usual: 30, most: 1800 } } as const

/** `open` reads the kubeconfig; it throws what its caller tells. */
export function parseImagePolicy(input: unknown, open: (kubeconfig: string) => WebhookServer): { ok: true; config: ImagePolicyConfig } | { ok: false; message: string } {
  const given = (input as { imagePolicy?: Record<string, unknown> } | null)?.imagePolicy
  if (typeof given !== 'object' || given === null) return { ok: false, message: 'imagePolicy: Required value' }
  const file = given['kubeConfigFile']
  if (typeof file !== 'string' || file === '') return { ok: false, message: 'imagePolicy.kubeConfigFile: Required value' }
  const seconds: Record<keyof typeof SECONDS, number> = { allowTTL: 0, denyTTL: 0 }
  for (const key of ['allowTTL', 'denyTTL'] as const) {
    const { usual, most } = SECONDS[key]
    const value = given[key] ?? usual
    // Below zero means not at all, as upstream reads it.
    if (typeof value !== 'number' || value > most) return { ok: false, message: `imagePolicy.${key}: Invalid value: ${JSON.stringify(value)}: must be a number of seconds up to ${most}` }
    seconds[key] = value === 0 ? usual : Math.max(0, value)
  }
  return { ok: true, config: { server: open(file), allowSeconds: seconds.allowTTL, denySeconds: seconds.denyTTL, defaultAllow: given['defaultAllow'] === true } }
}

export function imagePolicyWebhook({ server, allowSeconds, denySeconds, defaultAllow }: ImagePolicyConfig, { clock, random }: { clock: Clock; random: Random }): AdmissionPlugin {
  const cache = createAnswerCache<Answer>(clock, ({ allowed }) => (allowed ? allowSeconds : denySeconds) * 1000, ENTRIES_MAX)
  const late: { webhooks?: WebhookClient } = {}

  const ask = async (spec: object, api: AdmissionApi): Promise<Answer> => {
    const webhooks = (late.webhooks ??= createWebhookClient({ client: api.client, connector: undefined, clock, random }))
    const body = Buffer.from(JSON.stringify({ kind: 'ImageReview', apiVersion: 'imagepolicy.k8s.io/v1alpha1', metadata: {}, spec, status: { allowed: false } }))
    const { status } = (await callWithRetry(webhooks, { config: server.config, identity: server.identity, body, timeoutMs: TIMEOUT_MS, tellTimeout: true, signal: EVERYBODYS }, clock, random)) as Review
    const annotations = typeof status?.auditAnnotations === 'object' && status.auditAnnotations !== null ? (status.auditAnnotations as Record<string, unknown>) : {}
    return { allowed: status?.allowed === true, reason: typeof status?.reason === 'string' ? status.reason : '', annotations }
  }

  return {
    name: 'ImagePolicyWebhook',
    async validate(request, api) {
      const spec = reviewSpec(request)
      if (!spec) return undefined
      let answer: Answer
      try {
        answer = await cache.get(JSON.stringify(spec), () => ask(spec, api))
      } catch (error) {
        return unasked(asError(error), request, api, defaultAllow)
      }
      for (const [key, value] of Object.entries(answer.annotations)) if (typeof value === 'string') api.annotate(`${PREFIX}${key}`, value)
      if (answer.allowed) return undefined
      return refuse(answer.reason === '' ? 'one or more images rejected by webhook backend' : `image policy webhook backend denied one or more images: ${answer.reason}`)
    },
  }
}

/** Undefined: no images to look at. */
function reviewSpec(request: AdmissionRequest): object | undefined {
  const { operation, subresource, namespace } = request
  if (!isFor(request, '', 'pods') || (operation !== 'CREATE' && operation !== 'UPDATE') || (subresource !== '' && subresource !== 'ephemeralcontainers')) return undefined
  const { spec, metadata } = request.object as Pod
  const images = (containers: readonly Pick<Container, 'image'>[] | undefined): object[] => (containers ?? []).map(({ image }) => ({ ...(image && { image }) }))
  const containers = subresource === '' ? [...images(spec?.initContainers), ...images(spec?.containers)] : images(spec?.ephemeralContainers)
  const annotations = Object.entries(metadata?.annotations ?? {}).filter(([key]) => key.includes(FOR_SERVER))
  return { containers, ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) }), namespace }
}

function unasked(error: Error, { object }: AdmissionRequest, api: AdmissionApi, defaultAllow: boolean): Refusal | undefined {
  if (!defaultAllow) return refuse(error.message)
  const meta = (object?.metadata ?? {})
  meta.annotations = { ...meta.annotations, [FAILED_OPEN]: 'true' }
  api.annotate(`${PREFIX}failed-open`, 'true')
  return undefined
}
