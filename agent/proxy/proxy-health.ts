/** Whether the kernel's rules are as the API has them, told as kube-proxy tells it (upstream's pkg/proxy/healthcheck). */
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import { createWordsServer, serveWords, type Address } from '../http/words-server.ts'

/** A change that has waited so long for its rules: upstream's two sync periods. */
const LATE_MS = 60_000

export class ProxyHealth {
  readonly #clock: Clock
  #updatedMs: number | undefined
  #pendingMonotonicMs: number | undefined
  #failures = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Something is to be changed in the kernel. */
  queued(): void { this.#pendingMonotonicMs ??= this.#clock.monotonicMs() }

  /** All of it is. */
  updated(): void {
    this.#pendingMonotonicMs = undefined
    this.#updatedMs = this.#clock.nowMs()
  }

  failed(): void { this.#failures++ }

  get isHealthy(): boolean { return this.#pendingMonotonicMs === undefined || this.#clock.monotonicMs() - this.#pendingMonotonicMs < LATE_MS }

  /** `nodeEligible` is asked by load balancers only. */
  report(nodeEligible?: boolean): { code: 200 | 503; body: string } {
    const healthy = this.isHealthy
    const isFine = healthy && nodeEligible !== false
    const currentTime = new Date(this.#clock.nowMs()).toISOString()
    const updated = this.#updatedMs === undefined ? '0001-01-01T00:00:00Z' : new Date(this.#updatedMs).toISOString()
    const status = this.#updatedMs === undefined ? {} : { status: { IPv4: { lastUpdated: updated, healthy } } }
    return { code: isFine ? 200 : 503, body: JSON.stringify({ lastUpdated: isFine ? currentTime : updated, currentTime, ...(nodeEligible !== undefined && { nodeEligible }), healthy, ...status }) }
  }

  /** In Prometheus' format, under kube-proxy's names. */
  metrics(): string {
    return [
      '# HELP kubeproxy_sync_proxy_rules_last_timestamp_seconds [ALPHA] The last time proxy rules were successfully synced', '# TYPE kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge',
      `kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} ${(this.#updatedMs ?? 0) / 1000}`,
      '# HELP kubeproxy_sync_proxy_rules_nftables_sync_failures_total [ALPHA] Cumulative proxy nftables sync failures', '# TYPE kubeproxy_sync_proxy_rules_nftables_sync_failures_total counter',
      `kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} ${this.#failures}`, '',
    ].join('\n')
  }
}

export interface HealthAddresses {
  /** Where load balancers ask: `/healthz` and `/livez`. kube-proxy: 0.0.0.0:10256. */
  readonly health: Address
  /** `/proxyMode`, `/metrics`, `/healthz`, for this machine. kube-proxy: 127.0.0.1:10249. */
  readonly local: Address
}

/** Until the signal aborts. An address that is taken is logged: Services work without. */
export function serveProxyHealth(health: ProxyHealth, addresses: HealthAddresses, { isNodeEligible, log }: { isNodeEligible: () => boolean; log: Log }, signal: AbortSignal): void {
  const open = (server: ReturnType<typeof createWordsServer>, address: Address): void => {
    serveWords(server, address, (error) => log.warn('the health of the Service proxy cannot be served there', { ...address, error }), signal)
  }
  open(createWordsServer(({ url }, response) => {
    const report = url === '/healthz' ? health.report(isNodeEligible()) : url === '/livez' ? health.report() : undefined
    if (report) response.writeHead(report.code, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' }).end(report.body)
    else response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }).end('404 page not found\n')
  }), addresses.health)
  const texts: Readonly<Record<string, () => string>> = { '/healthz': () => 'ok', '/proxyMode': () => 'nftables', '/metrics': () => health.metrics() }
  open(createWordsServer(({ url = '' }, response) => {
    const text = texts[url]
    response.writeHead(text ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }).end(text ? text() : '404 page not found\n')
  }), addresses.local)
}
