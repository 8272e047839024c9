/**
 * Health check node ports: where a load balancer asks each node whether it has endpoints of a Service whose external
 * traffic stays on the node (externalTrafficPolicy Local, KEP-2086). Answers are those of upstream's pkg/proxy/healthcheck.
 */
import type { Server, ServerResponse } from 'node:http'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { EndpointSlice, Service, Stored } from '#api/types/index.ts'
import { createWordsServer } from '../http/words-server.ts'

export interface HealthCheck {
  readonly port: number
  /** Addresses on this node that are ready; those that only serve while they terminate are no reason to send more. */
  readonly localEndpoints: number
}

/** Undefined: the Service has no such port. Pure. */
export function healthCheckOf({ spec }: Service, slices: readonly EndpointSlice[], nodeName: string): HealthCheck | undefined {
  if (spec?.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local' || !spec.healthCheckNodePort) return undefined
  const endpoints = slices.flatMap((slice) => (slice.addressType === 'IPv4' ? slice.endpoints ?? [] : []))
  const local = endpoints.filter(({ nodeName: at, conditions }) => at === nodeName && (conditions?.ready ?? true))
  return { port: spec.healthCheckNodePort, localEndpoints: new Set(local.map((e) => e.addresses[0])).size }
}

export interface HealthPortsOptions {
  readonly log: Log
  /** Whether the node's rules are as the API has them. */
  isHealthy(): boolean
  /** Of a port that cannot be listened on; the next change of the Service tries again. */
  failed?(service: Stored<Service>, message: string): void
}

interface Open { readonly port: number; readonly server: Server; localEndpoints: number }

export class HealthPorts {
  readonly #options: HealthPortsOptions
  readonly #open = new Map<string, Open>()

  constructor(options: HealthPortsOptions) {
    this.#options = options
  }

  /** What a Service wants now; undefined: nothing. */
  set(key: string, wanted: { readonly service: Stored<Service>; readonly check: HealthCheck } | undefined): void {
    const open = this.#open.get(key)
    if (open && open.port === wanted?.check.port) {
      open.localEndpoints = wanted.check.localEndpoints
      return
    }
    if (open) this.#shut(key, open)
    if (wanted) this.#listen(key, wanted.service, wanted.check)
  }

  close(): void {
    for (const [key, open] of this.#open) this.#shut(key, open)
  }

  #listen(key: string, service: Stored<Service>, { port, localEndpoints }: HealthCheck): void {
    const server = createWordsServer((_, response) => this.#answer(response, service, open))
    const open: Open = { port, server, localEndpoints }
    server.on('error', (error) => {
      this.#options.log.error('the health check port of a Service cannot be listened on', { service: key, port, error: asError(error) })
      this.#options.failed?.(service, `failed to start healthcheck "${key}" on port ${port}: ${asError(error).message}`)
      if (this.#open.get(key) === open) this.#open.delete(key)
    })
    this.#open.set(key, open)
    server.listen(port, '0.0.0.0')
  }

  #answer(response: ServerResponse, { metadata }: Stored<Service>, { localEndpoints }: Open): void {
    const serviceProxyHealthy = this.#options.isHealthy()
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      'content-type': 'application/json', 'x-content-type-options': 'nosniff', 'x-load-balancing-endpoint-weight': String(localEndpoints),
    })
    response.end(JSON.stringify({ service: { namespace: metadata.namespace, name: metadata.name }, localEndpoints, serviceProxyHealthy }, undefined, '\t'))
  }

  #shut(key: string, { server }: Open): void {
    this.#open.delete(key)
    server.close()
    server.closeAllConnections()
  }
}
