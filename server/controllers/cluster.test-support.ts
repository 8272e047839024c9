/** An API server over the memory store with all controllers, and nodes that run pods by changing their status: for whole tests. */
import assert from 'node:assert/strict'
import type { Client, Informers } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import { createInformers } from '#api/client/informer.ts'
import { createClient } from '#api/client/rest.ts'
import { NODES, PODS, type KubeObject, type Node, type Pod, type Stored } from '#api/types/index.ts'
import { systemClock, type Clock } from '#base/clock.ts'
import { createLog, type Log } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createApiServer } from '#server/apiserver/app.ts'
import { defaultAdmission } from '#server/apiserver/admission/index.ts'
import { ServiceAllocator } from '#server/apiserver/allocators/service-allocator.ts'
import { ADMIN } from '#server/apiserver/app.test-support.ts'
import { ensureBootstrap } from '#server/apiserver/bootstrap/ensure.ts'
import { rows, withAllocators } from '#server/apiserver/registry.ts'
import { MemoryStore } from '#server/store/store-memory.ts'
import { formatTime } from './time.ts'
import { startControllers, type ControllersConfig } from './index.ts'

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

const SERVICE_CIDR = '10.43.0.0/16'
const DEADLINE_MS = 60_000

export async function startCluster(options: { clock?: Clock; config?: Partial<ControllersConfig> } = {}): Promise<TestCluster> {
  const clock = options.clock ?? systemClock
  const logged: string[] = []
  const log: Log = createLog({ format: 'text', level: 'info', nowMs: () => clock.nowMs(), write: (line) => logged.push(line) })
  const store = new MemoryStore()
  const random = seededRandom(11)
  const api = createApiServer({
    store, clock, random, log, rows: withAllocators(rows, { services: new ServiceAllocator({ serviceCidr: SERVICE_CIDR, random }) }), admission: defaultAdmission({ clock, random }),
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
  await ensureBootstrap(client, { addresses: ['192.0.2.1'], port: 6443, serviceCidr: SERVICE_CIDR })

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

const ENDED: ReadonlySet<string> = new Set(['Running', 'Succeeded', 'Failed'])

/** Its containers end with a code. */
async function end(client: Client, clock: Clock, pod: Stored<Pod>, exitCode: number): Promise<void> {
  const containerStatuses = (pod.spec?.containers ?? []).map(({ name }) => ({ name, image: '', imageID: '', ready: false, restartCount: 0, state: { terminated: { exitCode, finishedAt: formatTime(clock.nowMs()) } } }))
  await client.update<Pod>(PODS, { ...pod, status: { ...pod.status, phase: exitCode === 0 ? 'Succeeded' : 'Failed', conditions: [], containerStatuses } }, { subresource: 'status' })
}

/** Scheduler and kubelet in a few lines: binds to the first living node, runs at once, goes at once. */
async function playKubelet(client: Client, clock: Clock, pod: Stored<Pod>, alive: ReadonlySet<string>): Promise<void> {
  const { name, namespace = '', uid } = pod.metadata
  try {
    const nodeName = pod.spec?.nodeName
    if (!nodeName) {
      const fields = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]?.matchFields ?? []
      const target = fields[0]?.values?.[0] ?? [...alive][Number.parseInt(uid.slice(0, 4), 16) % Math.max(1, alive.size)]
      if (target === undefined || pod.metadata.deletionTimestamp !== undefined) return
      await client.create(PODS, { apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace }, target: { kind: 'Node', name: target } } as KubeObject, { subresource: 'binding' })
    } else if (alive.has(nodeName)) {
      if (pod.metadata.deletionTimestamp !== undefined) return await client.delete(PODS, name, namespace, { gracePeriodSeconds: 0, preconditions: { uid } })
      const ends = pod.metadata.annotations?.['test/ends']
      if (pod.status?.phase === 'Running' && ends !== undefined) return await end(client, clock, pod, Number(ends))
      if (ENDED.has(pod.status?.phase ?? '') || pod.metadata.annotations?.['test/stuck']) return
      const podIP = `10.42.0.${(Number.parseInt(uid.slice(0, 2), 16) % 250) + 1}`
      const conditions = [{ type: 'Ready', status: 'True', lastTransitionTime: formatTime(clock.nowMs()) }]
      await client.update<Pod>(PODS, { ...pod, status: { ...pod.status, phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions } }, { subresource: 'status' })
    }
  } catch (error) {
    // Nothing is bound in a namespace that ends.
    if (!isReason(error, 'NotFound', 'Conflict', 'Forbidden')) throw error
  }
}
