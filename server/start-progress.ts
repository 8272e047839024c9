/** What of the start is done, as health checks under the names of upstream's post-start hooks. */
import type { HealthCheck } from './apiserver/discovery/health.ts'

const HOOKS = [
  'start-apiserver-admission-initializer', 'generic-apiserver-start-informers', 'storage-readiness', 'start-system-namespaces-controller', 'bootstrap-controller', 'scheduling/bootstrap-system-priority-classes', 'start-service-ip-repair-controllers', 'rbac/bootstrap-roles',
  'priority-and-fairness-config-producer', 'priority-and-fairness-config-consumer', 'start-cluster-authentication-info-controller',
] as const

export type StartHook = (typeof HOOKS)[number]

export class StartProgress {
  readonly #done = new Set<StartHook>()

  done(...hooks: StartHook[]): void { for (const hook of hooks) this.#done.add(hook) }

  get checks(): HealthCheck[] {
    return HOOKS.map((hook) => ({ name: `poststarthook/${hook}`, live: true, problem: () => (this.#done.has(hook) ? undefined : 'not finished') }))
  }
}
