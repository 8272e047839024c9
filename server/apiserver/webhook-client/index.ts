/** Calling webhooks and reaching Services, for all parts of the API server that do. */
export { authorityOf, createDialer, type Dial, type DialerParts, type Route } from './dialer.ts'
export { addressesOf, resolveService, SERVICE_NAME_LABEL, type Address, type ServicePort } from './endpoints.ts'
export { createHttpsPool, WEBHOOK_POOL, type HttpsPool, type HttpsTarget, type PoolLimits } from './https-pool.ts'
export { secure, type TlsTrust } from './tls.ts'
export { createWebhookClient, type ClientConfig, type ClientIdentity, type WebhookCall, type WebhookClient } from './webhook-client.ts'
export { createTokenWebhook, TOKEN_WEBHOOK_CACHE_MS, type AuthenticateToken, type TokenWebhookOptions } from './token-webhook.ts'
export { AUTHORIZATION_WEBHOOK_CACHE, createAuthorizationWebhook, type AskAuthorizationWebhook, type AuthorizationWebhookOptions, type Opinion } from './authorization-webhook.ts'
export { parseWebhookKubeconfig, type WebhookServer } from './webhook-kubeconfig.ts'
