/** An API server over the memory store with all controllers, and nodes that run pods by changing their status: for whole tests. */
import assert from 'node:assert/strict'
import type { Client, Informers } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import { createInformers } from '#api/client/informer.ts'
import { createClient } from '#api/client/rest.ts'
import { CONFIG_MAPS, DEPLOYMENTS, ENDPOINTS, ENDPOINT_SLICES, EVENTS, LEASES, NAMESPACES, NODES, PODS, REPLICA_SETS, SECRETS, SERVICES, SERVICE_ACCOUNTS, type KubeObject, type Namespace, type Node, type Pod, type ResourceRef, type Stored } from '#api/types/index.ts'
import { systemClock, type Clock } from '#base/clock.ts'
import { createLog, type Log } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createApiServer } from '#server/apiserver/app.ts'
import { ADMIN, row } from '#server/apiserver/app.test-support.ts'
import type { KindRow, KindStrategy } from '#server/apiserver/kind.ts'
import { deploymentStrategy, replicaSetStrategy } from '#server/apiserver/kinds/apps.ts'
import { configMapStrategy } from '#server/apiserver/kinds/config-map.ts'
import { endpointSliceStrategy, endpointsStrategy } from '#server/apiserver/kinds/endpoints.ts'
import { EVENT_TTL_SECONDS, eventStrategy } from '#server/apiserver/kinds/event.ts'
import { leaseStrategy } from '#server/apiserver/kinds/lease.ts'
import { namespaceStrategy } from '#server/apiserver/kinds/namespace.ts'
import { nodeStrategy } from '#server/apiserver/kinds/node.ts'
import { podStrategy } from '#server/apiserver/kinds/pod.ts'
import { secretStrategy } from '#server/apiserver/kinds/secret.ts'
import { serviceAccountStrategy } from '#server/apiserver/kinds/service-account.ts'
import { serviceStrategy } from '#server/apiserver/kinds/service.ts'
import { MemoryStore } from '#server/store/store-memory.ts'
import { formatTime } from './time.ts'
import { startControllers, type ControllersConfig } from './index.ts'

const of = <T extends KubeObject>(ref: ResourceRef, strategy: KindStrategy<T>, more: Partial<KindRow> = {}): KindRow => row({ ref, strategy: strategy as unknown as KindStrategy<KubeObject>, ...more })
const SCALE = { specPath: '.spec.replicas', statusPath: '.status.replicas', selectorPath: '.spec.selector' }

const ROWS: readonly KindRow[] = [
  of(NAMESPACES, namespaceStrategy, { subresources: ['status', 'finalize'], verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'] }),
  of(NODES, nodeStrategy, { subresources: ['status'] }),
  of(PODS, podStrategy, { subresources: ['status', 'binding', 'eviction'] }),
  of(SERVICES, serviceStrategy, { subresources: ['status'] }),
  of(ENDPOINTS, endpointsStrategy), of(CONFIG_MAPS, configMapStrategy), of(SECRETS, secretStrategy), of(SERVICE_ACCOUNTS, serviceAccountStrategy),
  of(EVENTS, eventStrategy, { model: 'CoreV1Event', ttlSeconds: EVENT_TTL_SECONDS }),
  of(DEPLOYMENTS, deploymentStrategy, { subresources: ['status', 'scale'], scale: SCALE }),
  of(REPLICA_SETS, replicaSetStrategy, { subresources: ['status', 'scale'], scale: SCALE }),
  of(ENDPOINT_SLICES, endpointSliceStrategy), of(LEASES, leaseStrategy),
]

export interface TestCluster extends AsyncDisposable {
  client: Client
  clock: Clock
  logged: string[]
  /** Nodes whose kubelet answers; removed from here a node goes silent. */
  alive: Set<string>
  addNode(name: string): Promise<void>
  /** Resolves when the check no longer throws; looked at after each change in the cluster. Rejects after the deadline with the last complaint. */
  until(what: string, check: () => Promise<void>): Promise<void>
  requests(): number
}

const DEADLINE_MS = 10_000

export async function startCluster(options: { clock?: Clock; config?: Partial<ControllersConfig> } = {}): Promise<TestCluster> {
  const clock = options.clock ?? systemClock
  const logged: string[] = []
  const log: Log = createLog({ format: 'text', level: 'info', nowMs: () => clock.nowMs(), write: (line) => logged.push(line) })
  const store = new MemoryStore()
  const random = seededRandom(11)
  const api = createApiServer({
    store, clock, random, log, rows: ROWS, admission: [],
    authenticator: { authenticate: () => Promise.resolve({ ok: false, why: 'none' }) },
    authorizer: { authorize: () => Promise.resolve({ allowed: true, reason: '' }), rulesFor: () => Promise.resolve({ resourceRules: [], nonResourceRules: [], incomplete: false }) },
    version: { major: '1', minor: '36', gitVersion: 'v1.36.0+skiff', gitCommit: '', gitTreeState: '', buildDate: '', goVersion: '', compiler: '', platform: '' },
    serverAddress: '127.0.0.1:6443', processUsage: () => ({ cpuSeconds: 0, residentBytes: 0, startTimeSeconds: 0 }),
  })
  let requests = 0
  const transport = api.transportFor(ADMIN)
  const counted = { request: (r: Parameters<typeof transport.request>[0]) => { requests++; return transport.request(r) } }
  const client = createClient(counted, { userAgent: 'test' })
  const stop = new AbortController()
  const alive = new Set<string>()
  for (const name of ['default', 'kube-system', 'kube-node-lease']) await client.create<Namespace>(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })

  const informers: Informers = createInformers(client, { clock, random, log })
  const pods = informers.of<Pod>(PODS)
  const changed = new Set<() => void>()
  store.watch({ prefix: '', afterRevision: store.revision() }, () => { for (const fn of changed) fn() })
  pods.onChange((_, after) => { if (after) void playKubelet(client, clock, after, alive) })
  const running = startControllers({ client, informers, clock, random, log, config: { clusterCidr: '10.42.0.0/16', rootCaPem: 'PEM', ...options.config } }, stop.signal)

  return {
    client, clock, logged, alive,
    requests: () => requests,
    async addNode(name) {
      alive.add(name)
      const now = formatTime(clock.nowMs())
      const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'ready', lastHeartbeatTime: now, lastTransitionTime: now }]
      const node = await client.create<Node>(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name } })
      await client.update<Node>(NODES, { ...node, status: { conditions } }, { subresource: 'status' }).catch(async (error: unknown) => {
        // Node IPAM may have been first.
        if (!isReason(error, 'Conflict')) throw error
        const again = await client.get<Node>(NODES, name)
        await client.update<Node>(NODES, { ...again, status: { conditions } }, { subresource: 'status' })
      })
    },
    async until(what, check) {
      let last: unknown
      const deadlineMs = performance.now() + DEADLINE_MS
      while (performance.now() < deadlineMs) {
        try {
          await check()
          return
        } catch (error) {
          last = error
        }
        await new Promise<void>((resolve) => {
          const done = () => { changed.delete(done); clearTimeout(timer); resolve() }
          const timer = setTimeout(done, 200)
          changed.add(done)
        })
      }
      assert.fail(`${what}: ${last instanceof Error ? last.message : String(last)}\n${logged.slice(-20).join('\n')}`)
    },
    async [Symbol.asyncDispose]() {
      stop.abort()
      await running
      api.close()
      await store.close()
    },
  }
}

/** Scheduler and kubelet in a few lines: binds to the first living node, runs at once, goes at once. */
async function playKubelet(client: Client, clock: Clock, pod: Stored<Pod>, alive: ReadonlySet<string>): Promise<void> {
  const { name, namespace = '', uid } = pod.metadata
  try {
    const nodeName = pod.spec?.nodeName
    if (!nodeName) {
      const target = [...alive][Number.parseInt(uid.slice(0, 4), 16) % Math.max(1, alive.size)]
      if (target === undefined || pod.metadata.deletionTimestamp !== undefined) return
      await client.create(PODS, { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target: { kind: 'Node', name: target } } as KubeObject, { subresource: 'binding' })
    } else if (alive.has(nodeName)) {
      if (pod.metadata.deletionTimestamp !== undefined) return await client.delete(PODS, name, namespace, { gracePeriodSeconds: 0, preconditions: { uid } })
      if (pod.status?.phase === 'Running' || pod.metadata.annotations?.['test/stuck']) return
      const podIP = `10.42.0.${(Number.parseInt(uid.slice(0, 2), 16) % 250) + 1}`
      const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: formatTime(clock.nowMs()) }]
      await client.update<Pod>(PODS, { ...pod, status: { ...pod.status, phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions } }, { subresource: 'status' })
    }
  } catch (error) {
    if (!isReason(error, 'NotFound', 'Conflict')) throw error
  }
}
