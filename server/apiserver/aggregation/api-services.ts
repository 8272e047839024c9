/** APIServices as the aggregator reads them: which group versions are behind another server, and how to reach it. */
import type { APIService, Stored } from '#api/types/index.ts'
import type { KindCache } from '../watch/kind-cache.ts'
import { parseEntry } from '../watch/encoder.ts'
import type { ServicePort } from '../webhook-client/index.ts'
import type { Priority, RankedVersion } from './priorities.ts'

export const API_SERVICES = { group: 'apiregistration.k8s.io', version: 'v1', resource: 'apiservices', kind: 'APIService', namespaced: false } as const
export const AVAILABLE = 'Available'

/** A group version that another server serves. */
export interface Backend extends RankedVersion {
  /** The APIService's. */
  name: string
  service: ServicePort
  /** PEM; undefined: the system's authorities. */
  ca: string | undefined
  insecure: boolean
  isAvailable: boolean
  apiService: Stored<APIService>
}

/** Where it tells what it serves. */
export const pathOf = ({ group, version }: Backend): string => (group === '' ? `/api/${version}` : `/apis/${group}/${version}`)

const NAMES = { kind: API_SERVICES.kind, apiVersion: 'apiregistration.k8s.io/v1' }
const DEFAULT_PORT = 443

/** Backends are read anew only when an APIService changed. */
export class ApiServices {
  readonly #ready: () => KindCache | undefined
  readonly #open: () => Promise<KindCache | undefined>
  #cache: KindCache | undefined
  #changes = 0
  #backends: ReadonlyMap<string, Backend> = new Map()

  constructor(ready: () => KindCache | undefined, open: () => Promise<KindCache | undefined>) {
    this.#ready = ready
    this.#open = open
  }

  /** The cache behind it; undefined when the kind is not served here. */
  open(): Promise<KindCache | undefined> { return this.#open() }

  /** Fresh: most are this server's own, and nobody keeps them. */
  all(): Stored<APIService>[] {
    return (this.#ready()?.list('') ?? []).map((entry) => parseEntry(entry, NAMES) as Stored<APIService>)
  }

  /** Empty in most clusters. */
  backends(): ReadonlyMap<string, Backend> {
    this.#refresh()
    return this.#backends
  }

  /** Undefined: this server serves it, or nobody does. */
  backendOf(group: string, version: string): Backend | undefined {
    const backends = this.backends()
    return backends.size === 0 ? undefined : backends.get(`${version}.${group}`)
  }

  #refresh(): void {
    // Asked with every request: finding the cache anew would be most of what that costs.
    const cache = this.#cache && !this.#cache.isClosed ? this.#cache : this.#ready()
    if (!cache || (cache === this.#cache && cache.changes === this.#changes)) return
    this.#cache = cache
    this.#changes = cache.changes
    this.#backends = new Map(this.all().flatMap((apiService) => {
      const backend = backendOf(apiService)
      return backend ? [[backend.name, backend] as const] : []
    }))
  }
}

export const priorityOf = ({ spec }: APIService): Priority => ({ group: spec?.groupPriorityMinimum ?? 0, version: spec?.versionPriority ?? 0 })

export function isAvailable({ status }: APIService): boolean {
  return (status?.conditions ?? []).some((c) => c.type === AVAILABLE && c.status === 'True')
}

function backendOf(apiService: Stored<APIService>): Backend | undefined {
  const { spec, metadata } = apiService
  if (!spec?.service) return undefined
  const { namespace = '', name = '', port = DEFAULT_PORT } = spec.service
  return {
    name: metadata.name ?? '', group: spec.group ?? '', version: spec.version ?? '', priority: priorityOf(apiService), service: { namespace, name, port },
    ca: spec.caBundle ? Buffer.from(spec.caBundle, 'base64').toString() : undefined, insecure: spec.insecureSkipTLSVerify ?? false, isAvailable: isAvailable(apiService), apiService,
  }
}
