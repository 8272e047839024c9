/**
 * kube-system/extension-apiserver-authentication: from it extension API servers learn whose client certificates to believe,
 * and how the front proxy tells them who asks.
 */
import { isReason, type Client } from '#api/client/client.ts'
import { CONFIG_MAPS, type ConfigMap } from '#api/types/index.ts'
import { FRONT_PROXY_NAME, REQUEST_HEADERS, type RequestHeaders } from '../middleware/front-proxy.ts'

export interface AuthenticationConfig {
  /** PEM. */
  clientCa: string
  requestHeaderCa: string
  requestHeaders: RequestHeaders
}

const METADATA = { name: 'extension-apiserver-authentication', namespace: 'kube-system' }
const ATTEMPTS = 5

/** Other keys and labels stay as they are. */
export async function publishAuthenticationConfig(client: Client, config: AuthenticationConfig): Promise<void> {
  const data = authenticationData(config)
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await find(client)
      if (!found) await client.create<ConfigMap>(CONFIG_MAPS, { metadata: METADATA, data })
      else if (Object.entries(data).some(([key, value]) => found.data?.[key] !== value)) await client.update<ConfigMap>(CONFIG_MAPS, { ...found, data: { ...found.data, ...data } })
      return
    } catch (error) {
      if (!isReason(error, 'AlreadyExists', 'Conflict', 'NotFound') || attempt === ATTEMPTS) throw error
    }
  }
}

export function authenticationData({ clientCa, requestHeaderCa, requestHeaders }: AuthenticationConfig): Record<string, string> {
  return {
    'client-ca-file': clientCa,
    'requestheader-allowed-names': JSON.stringify(requestHeaders.allowedNames.length === 0 ? [] : [...new Set([...requestHeaders.allowedNames, FRONT_PROXY_NAME])]),
    'requestheader-client-ca-file': requestHeaderCa,
    'requestheader-extra-headers-prefix': listOf(requestHeaders, 'extraPrefixes'),
    'requestheader-group-headers': listOf(requestHeaders, 'groupHeaders'),
    'requestheader-uid-headers': listOf(requestHeaders, 'uidHeaders'),
    'requestheader-username-headers': listOf(requestHeaders, 'userHeaders'),
  }
}

/** As Go prints header names; those that the aggregation layer itself sends are always among them. */
const listOf = (headers: RequestHeaders, which: Exclude<keyof RequestHeaders, 'allowedNames'>): string => JSON.stringify([...new Set([...headers[which], ...REQUEST_HEADERS[which]])].map((name) => name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => `${dash}${letter.toUpperCase()}`)))

async function find(client: Client): Promise<ConfigMap | undefined> {
  try {
    return await client.get<ConfigMap>(CONFIG_MAPS, METADATA.name, METADATA.namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
