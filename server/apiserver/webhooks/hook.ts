/** Webhook configurations, made ready for matching, and kept so as long as nothing changes. */
import type { KubeObject, MutatingWebhook, ValidatingWebhook } from '#api/types/index.ts'
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

/** In order of the configurations' names. At once when the cache is there; the same array until something changes. */
export type HookSource = () => readonly Hook[] | Promise<readonly Hook[]>

/** `open` resolves to undefined where the kind is not served. */
export function hooksOf(ready: () => KindCache | undefined, open: () => Promise<KindCache | undefined>, names: { kind: string; apiVersion: string }): HookSource {
  const state: { cache: KindCache | undefined; changes: number; hooks: readonly Hook[] } = { cache: undefined, changes: 0, hooks: [] }
  const from = (cache: KindCache): readonly Hook[] => {
    if (cache !== state.cache || cache.changes !== state.changes) Object.assign(state, { cache, changes: cache.changes, hooks: cache.list('').flatMap((entry) => compileConfiguration(parseEntry(entry, names))) })
    return state.hooks
  }
  return () => {
    // Asked with every write: finding the cache anew would be most of what that costs.
    const cache = state.cache && !state.cache.isClosed ? state.cache : ready()
    return cache ? from(cache) : open().then((opened) => (opened ? from(opened) : []))
  }
}

function compileConfiguration({ metadata, webhooks = [] }: KubeObject & { webhooks?: AnyWebhook[] }): Hook[] {
  return webhooks.map((webhook, i) => compileHook(metadata?.name ?? '', webhook, webhooks.slice(0, i).filter((w) => w.name === webhook.name).length))
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
