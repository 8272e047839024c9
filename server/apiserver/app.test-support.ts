/** An API server over the memory store with a few plain rows, for tests that need no sockets. */
import assert from 'node:assert/strict'
import { collect } from '#api/client/body.ts'
import { isBodyStream, type ApiResponse } from '#api/client/transport.ts'
import type { KubeObject, UserInfo } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { MemoryStore } from '#server/store/store-memory.ts'
import { createApiServer, type ApiServer, type ApiServerOptions } from './app.ts'
import type { KindRow } from './kind.ts'

export const ADMIN: UserInfo = { name: 'admin', groups: ['system:masters', 'system:authenticated'] }

export function row(over: Partial<KindRow> & { ref: KindRow['ref'] }): KindRow {
  return { model: over.ref.kind, singular: over.ref.kind.toLowerCase(), shortNames: [], categories: [], subresources: [], strategy: {}, ...over }
}

const ref = (group: string, resource: string, kind: string, namespaced = true): KindRow['ref'] => ({ group, version: 'v1', resource, kind, namespaced })

type PodLike = KubeObject & { spec?: { nodeName?: string }; status?: { phase?: string } }

export const ROWS: readonly KindRow[] = [
  row({ ref: ref('', 'configmaps', 'ConfigMap'), shortNames: ['cm'], strategy: { generation: false } }),
  row({ ref: ref('', 'namespaces', 'Namespace', false), subresources: ['status', 'finalize'], strategy: { generation: false } }),
  row({
    ref: ref('', 'pods', 'Pod'), shortNames: ['po'], categories: ['all'],
    subresources: ['status', 'binding', 'eviction', 'log', 'exec', 'attach', 'portforward', 'proxy', 'ephemeralcontainers', 'resize'],
    strategy: {
      selectableFields: { 'spec.nodeName': (o) => (o as PodLike).spec?.nodeName ?? '', 'status.phase': (o) => (o as PodLike).status?.phase ?? '' },
      prepareUpdate: (object, old) => { (object as PodLike).status = (old as PodLike).status ?? {} },
      graceSecondsOnDelete: (object, requested) => ((object as PodLike).spec?.nodeName ? (requested ?? 30) : 0),
    },
  }),
  row({ ref: ref('', 'events', 'Event'), model: 'CoreV1Event', ttlSeconds: 3600, strategy: { generation: false } }),
  row({ ref: ref('', 'nodes', 'Node', false), subresources: ['status', 'proxy'] }),
  row({ ref: ref('', 'serviceaccounts', 'ServiceAccount'), subresources: ['token'], strategy: { generation: false } }),
  row({ ref: ref('apps', 'deployments', 'Deployment'), subresources: ['status', 'scale'], scale: { specPath: '.spec.replicas', statusPath: '.status.replicas', selectorPath: '.spec.selector' } }),
  row({ ref: ref('policy', 'poddisruptionbudgets', 'PodDisruptionBudget'), subresources: ['status'] }),
]

/** An answer's JSON, looked into freely by tests. */
export type Loose = { [key: string]: Loose } & { toString(): string }
/** A list in an answer; empty when there is none. */
export const items = <T = Loose>(list: unknown): T[] => (Array.isArray(list) ? (list as T[]) : [])

export interface Answer { status: number; headers: Record<string, string>; json: Loose; text: string }

export interface Harness {
  api: ApiServer
  store: MemoryStore
  clock: FakeClock
  logged: string[]
  /** As the admin. `body` is sent as JSON unless it is a Buffer. */
  call: (method: string, path: string, body?: unknown, headers?: Record<string, string>) => Promise<Answer>
  watch: (path: string, headers?: Record<string, string>) => Promise<TestWatch>
}

/** What a watch sent so far, and a sink that can be made slow. */
export interface TestWatch {
  events: Loose[]
  /** Types and names of what came since the last call, once at least `count` are there. */
  next(count: number): Promise<string[]>
  ended: Promise<void>
  stop(): void
  /** Writes answer "full" from now on, until `drain`. */
  fill(): void
  drain(): void
}

export function harness(over: Partial<ApiServerOptions> = {}): Harness {
  const store = new MemoryStore()
  const clock = new FakeClock()
  const logged: string[] = []
  const api = createApiServer({
    store, clock, random: seededRandom(1), rows: ROWS, admission: [],
    log: createLog({ format: 'text', level: 'info', nowMs: () => clock.nowMs(), write: (line) => logged.push(line) }),
    authenticator: { authenticate: async ({ bearer }) => (bearer === undefined ? { ok: false, why: 'none' } : bearer === 'good' ? { ok: true, user: ADMIN } : bearer === 'weak' ? { ok: true, user: { name: 'weak', groups: ['system:authenticated'] } } : { ok: false, why: 'invalid', because: 'test' }) },
    authorizer: {
      authorize: async ({ user, verb }) => ({ allowed: user.groups.includes('system:masters') || (user.groups.includes('readers') && verb === 'get'), reason: '' }),
      rulesFor: async () => ({ resourceRules: [], nonResourceRules: [], incomplete: false }),
    },
    version: { major: '1', minor: '36', gitVersion: 'v1.36.0+skiff', gitCommit: '', gitTreeState: '', buildDate: '', goVersion: '', compiler: '', platform: 'linux/amd64' },
    serverAddress: '127.0.0.1:6443', processUsage: () => ({ cpuSeconds: 1, residentBytes: 2, startTimeSeconds: 3 }),
    ...over,
  })
  const ask = (method: string, path: string, body: unknown, headers: Record<string, string>, signal: AbortSignal): Promise<ApiResponse> => {
    const bytes = body === undefined ? undefined : Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
    return api.handle({
      method, path, signal, peer: { remoteAddress: '127.0.0.1' },
      headers: { authorization: 'Bearer good', 'user-agent': 'kubectl/v1', ...(bytes && { 'content-type': 'application/json' }), ...headers },
      ...(bytes && { body: bytes }),
    })
  }
  return {
    api, store, clock, logged,
    async call(method, path, body, headers = {}) {
      const response = await ask(method, path, body, headers, new AbortController().signal)
      const text = (await collect(response.body)).toString()
      return { status: response.status, headers: response.headers, text, json: (text.startsWith('{') ? JSON.parse(text) : {}) as Loose }
    },
    async watch(path, headers = {}) {
      const stopper = new AbortController()
      const response = await ask('GET', path, undefined, headers, stopper.signal)
      return follow(response, stopper)
    },
  }
}

const NEXT_DEADLINE_TURNS = 2_000

function follow(response: ApiResponse, stopper: AbortController): TestWatch {
  const events: Loose[] = []
  let text = ''
  let full = false
  let seen = 0
  let drained = () => {}
  const read = (chunk: Buffer) => {
    text += chunk.toString()
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) events.push(JSON.parse(line) as Loose)
  }
  const ended = new Promise<void>((resolve, reject) => {
    if (isBodyStream(response.body)) {
      response.body.start({ write: (chunk) => { read(chunk); return !full }, onDrain: (fn) => { drained = fn }, end: resolve, fail: reject })
    } else {
      void collect(response.body).then((b) => { read(b); resolve() })
    }
  })
  return {
    events, ended,
    async next(count) {
      for (let turn = 0; events.length < seen + count; turn++) {
        assert.ok(turn < NEXT_DEADLINE_TURNS, `expected ${count} events, got ${JSON.stringify(events.slice(seen))}`)
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
      const fresh = events.slice(seen)
      seen = events.length
      return fresh.map((e) => `${String(e['type'])} ${String(e['object']?.['metadata']?.['name'] ?? e['object']?.['reason'] ?? '')}`.trim())
    },
    stop: () => stopper.abort(),
    fill: () => { full = true },
    drain: () => { full = false; drained() },
  }
}

export const configMap = (name: string, over: Record<string, unknown> = {}): Record<string, unknown> => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { k: 'v' }, ...over })
export const CM = '/api/v1/namespaces/default/configmaps'
export const PODS = '/api/v1/namespaces/default/pods'
