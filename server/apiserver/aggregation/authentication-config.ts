/**
 * kube-system/extension-apiserver-authentication: from it extension API servers learn whose client certificates to believe,
 * and how the front proxy tells them who asks.
 */
import { isReason, type Client } from '#api/client/client.ts'
import { CONFIG_MAPS, type ConfigMap } from '#api/types/index.ts'

export interface AuthenticationConfig {
  /** PEM. */
  clientCa: string
  requestHeaderCa: string
  /** Common names of certificates that may speak for others. */
  allowedNames: readonly string[]
}

/** Who the front proxy is. */
export const FRONT_PROXY_NAMES = ['system:auth-proxy'] as const

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

export function authenticationData({ clientCa, requestHeaderCa, allowedNames }: AuthenticationConfig): Record<string, string> {
  return {
    'client-ca-file': clientCa,
    'requestheader-allowed-names': JSON.stringify(allowedNames),
    'requestheader-client-ca-file': requestHeaderCa,
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]',
    'requestheader-username-headers': '["X-Remote-User"]',
  }
}

async function find(client: Client): Promise<ConfigMap | undefined> {
  try {
    return await client.get<ConfigMap>(CONFIG_MAPS, METADATA.name, METADATA.namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
