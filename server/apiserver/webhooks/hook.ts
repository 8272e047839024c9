/** Webhook configurations, made ready for matching, and kept so as long as nothing changes. */
import type { MutatingWebhook, ValidatingWebhook } from '#api/types/index.ts'
import { compileLabelSelector, type LabelMatcher } from '#api/types/labels.ts'
import type { KindCache } from '../watch/kind-cache.ts'
import { parseEntry } from '../watch/encoder.ts'
import type { ClientConfig } from '../webhook-client/index.ts'
import { compileMatchConditions, type MatchConditions } from './match-conditions.ts'
import type { Rule } from './rules.ts'

export interface Hook {
  /** Stays the same while configuration and name do. */
  uid: string
  configuration: string
  name: string
  client: ClientConfig
  rules: readonly Rule[]
  /** failurePolicy Ignore. */
  failsOpen: boolean
  /** matchPolicy Exact. */
  isExact: boolean
  namespaces: LabelMatcher
  objects: LabelMatcher
  conditions: MatchConditions | undefined
  timeoutMs: number
  /** '' when the configuration has none. */
  sideEffects: string
  /** The first version of AdmissionReview it knows that we speak too. */
  reviewVersion: 'v1' | 'v1beta1' | undefined
  /** reinvocationPolicy IfNeeded. */
  isReinvocable: boolean
}

/** Upstream's default. */
const TIMEOUT_SECONDS = 10

type AnyWebhook = ValidatingWebhook & Pick<MutatingWebhook, 'reinvocationPolicy'>

/** In order of the configurations' names. The function answers the same array until something changes. */
export function hooksOf(cacheOf: () => Promise<KindCache> | undefined, names: { kind: string; apiVersion: string }): () => Promise<readonly Hook[]> {
  const state: { changes: number; hooks: readonly Hook[] } = { changes: -1, hooks: [] }
  return async () => {
    const cache = await cacheOf()
    if (!cache) return []
    if (cache.changes !== state.changes) {
      state.changes = cache.changes
      state.hooks = cache.list('').flatMap((entry) => {
        const { metadata, webhooks = [] } = parseEntry(entry, names) as ReturnType<typeof parseEntry> & { webhooks?: AnyWebhook[] }
        return webhooks.map((webhook, i) => compileHook(metadata?.name ?? '', webhook, webhooks.slice(0, i).filter((w) => w.name === webhook.name).length))
      })
    }
    return state.hooks
  }
}

function compileHook(configuration: string, webhook: AnyWebhook, nth: number): Hook {
  return {
    uid: `${configuration}/${webhook.name}/${nth}`, configuration, name: webhook.name,
    client: webhook.clientConfig as ClientConfig, rules: webhook.rules ?? [],
    failsOpen: webhook.failurePolicy === 'Ignore', isExact: webhook.matchPolicy === 'Exact',
    namespaces: compileLabelSelector(webhook.namespaceSelector ?? {}), objects: compileLabelSelector(webhook.objectSelector ?? {}),
    conditions: (webhook.matchConditions ?? []).length > 0 ? compileMatchConditions(webhook.matchConditions ?? [], webhook.failurePolicy === 'Ignore') : undefined,
    timeoutMs: (webhook.timeoutSeconds ?? TIMEOUT_SECONDS) * 1000, sideEffects: webhook.sideEffects ?? '',
    reviewVersion: (webhook.admissionReviewVersions ?? []).find((v) => v === 'v1' || v === 'v1beta1') as Hook['reviewVersion'],
    isReinvocable: webhook.reinvocationPolicy === 'IfNeeded',
  }
}
