/** What credential providers are told of a pod's service account, asked of the API server when an image is pulled. */
import type { Client } from '#api/client/client.ts'
import { SERVICE_ACCOUNTS, type Pod, type ServiceAccount, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { requestToken, type KeptToken } from '../volumes/tokens.ts'

export interface ServiceAccounts {
  /** Rejects when it cannot be had. */
  get(namespace: string, name: string): Promise<{ uid: string; annotations: Readonly<Record<string, string>> }>
  /** Bound to the pod; the same until 80 % of its life has passed. */
  token(pod: Stored<Pod>, accountUid: string, audience: string): Promise<string>
}

/** Pods that start at once, each with a provider or two. */
const TOKENS_KEPT_MAX = 256

export function createServiceAccounts(client: Client, clock: Clock): ServiceAccounts {
  const kept = new Map<string, KeptToken>()
  return {
    async get(namespace, name) {
      const { metadata } = await client.get<ServiceAccount>(SERVICE_ACCOUNTS, name, namespace)
      return { uid: metadata.uid ?? '', annotations: metadata.annotations ?? {} }
    },
    async token(pod, accountUid, audience) {
      const key = JSON.stringify([pod.metadata.uid, accountUid, audience])
      const known = kept.get(key)
      if (known && clock.nowMs() < known.refreshMs) return known.token
      const fresh = await requestToken(client, clock, pod, { audience, accountUid })
      kept.delete(key)
      const [oldest] = kept.keys()
      if (kept.size >= TOKENS_KEPT_MAX && oldest !== undefined) kept.delete(oldest)
      kept.set(key, fresh)
      return fresh.token
    },
  }
}
