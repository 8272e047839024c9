/** How long tokens kept in Secrets have gone unused (KEP-2799): since when that is watched, and a label with the day of the last use. */
import { isReason, type Client } from '#api/client/client.ts'
import { CONFIG_MAPS, SECRETS, type ConfigMap, type Secret, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { LAST_USED_LABEL } from './service-account-tokens.ts'

const TRACKING = { name: 'kube-apiserver-legacy-service-account-token-tracking', namespace: 'kube-system' }

/** Begins the watch, unless it has begun before. */
export async function trackLegacyTokens(client: Client, clock: Clock): Promise<void> {
  const since = new Date(clock.nowMs()).toISOString().slice(0, 10)
  try {
    await client.create<ConfigMap>(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: TRACKING, data: { since } })
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error
  }
}

/** Not waited for: whoever shows the token is let in in any case. */
export function noteLegacyUse(client: Client, { metadata }: Stored<Secret>, date: string, log: Log): void {
  client.patch(SECRETS, metadata.name, metadata.namespace, 'application/merge-patch+json', { metadata: { uid: metadata.uid, labels: { [LAST_USED_LABEL]: date } } })
    .catch((error: unknown) => log.debug('the last use of a token could not be noted', { secret: `${metadata.namespace}/${metadata.name}`, error: asError(error) }))
}
