/** POSTs what a webhook of a kubeconfig is to have, over a connection that is kept. */
import type { Agent as HttpAgent } from 'node:http'
import { CodedError } from '#base/errors.ts'

export interface WebhookEndpoint {
  /** https, or http. */
  url: string
  /** PEM; undefined: the system's. */
  ca?: string | undefined
  clientCertificate?: { cert: string; key: string } | undefined
  bearer?: string | undefined
  serverName?: string | undefined
  insecure?: boolean | undefined
}

/** Two connections carry any stream of batches. */
const CONNECTIONS_MAX = 2
const ANSWER_MS_MAX = 10_000

/** Rejects with `WEBHOOK_FAILED`. Nothing of the answer but its code is looked at. */
export function createWebhookSender({ url, ca, clientCertificate, bearer, serverName, insecure }: WebhookEndpoint): (body: Buffer, signal: AbortSignal) => Promise<void> {
  const target = new URL(url)
  const state: { agent?: HttpAgent } = {}
  return async (body, signal) => {
    const { request: requestTo, Agent } = await (target.protocol === 'http:' ? import('node:http') : import('node:https'))
    state.agent ??= new Agent({
      keepAlive: true, maxSockets: CONNECTIONS_MAX, rejectUnauthorized: insecure !== true,
      ...(ca !== undefined && { ca }), ...(clientCertificate && { cert: clientCertificate.cert, key: clientCertificate.key }), ...(serverName !== undefined && { servername: serverName }),
    })
    const headers = { 'content-type': 'application/json', 'content-length': body.length, ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }) }
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error): void => reject(new CodedError('WEBHOOK_FAILED', `POST ${url}: ${cause.message}`, { cause }))
      const request = requestTo(target, { method: 'POST', headers, signal, timeout: ANSWER_MS_MAX, agent: state.agent }, (response) => {
        response.resume()
        response.on('error', fail)
        const code = response.statusCode ?? 0
        response.on('end', () => (code >= 200 && code < 300 ? resolve() : fail(new Error(`it answered ${code}`))))
      })
      request.on('timeout', () => request.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)))
      request.on('error', fail)
      request.end(body)
    })
  }
}
