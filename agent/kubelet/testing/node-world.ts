/** One node for tests: memory runtime, memory API, fake clock, a directory of its own. Only tests import it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createInformers } from '#api/client/informer.ts'
import { PODS, SERVICES, type Pod, type Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { createLog, silentLog, type Log } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { createMemoryRuntime, type MemoryRuntime } from '#cri/memory/runtime-memory.ts'
import { createClusterMemory } from '../../cluster-memory.ts'
import type { KernelLog } from '../node/kernel-log.ts'
import { KUBELET_DEFAULTS, type KubeletConfig } from '../config.ts'
import { createKubelet, type Kubelet } from '../kubelet.ts'
import type { HostPressure } from '../node/host-facts.ts'
import { createMemoryMounter } from '../volumes/mounter.ts'
import { createApiMemory, type ApiMemory } from './api-memory.ts'
import { areFilesUnderWay } from './files-under-way.ts'

export interface RecordedEvent { about: string; type: string; reason: string; message: string }

export interface NodeWorld {
  clock: FakeClock
  api: ApiMemory
  runtime: MemoryRuntime
  events: RecordedEvent[]
  cgroups: Set<string>
  dir: string
  /** What the machine has left: tests write it. */
  host: HostPressure
  kubelet(): Kubelet
  startAgent(): Promise<void>
  /** As by SIGKILL: whatever it remembered is gone. */
  stopAgent(): Promise<void>
  create(pod: Pod): Stored<Pod>
  pod(name: string): Stored<Pod> | undefined
  /** Lets things happen for so long; in coarser steps what takes files is later, and long times are quick. */
  run(ms: number, stepMs?: number): Promise<void>
  /** Advances until it holds; fails after `limitMs` of the fake clock. */
  until(what: string, holds: () => boolean, limitMs?: number): Promise<void>
  reasons(): string[]
  end(): Promise<void>
}

export const NODE = 'node-1'

export function createNodeWorld(options: { config?: Partial<KubeletConfig>; log?: boolean; kernelLog?: KernelLog } = {}): NodeWorld {
  const clock = new FakeClock()
  const api = createApiMemory()
  const dir = mkdtempSync(join(tmpdir(), 'kubelet-'))
  const runtime = createMemoryRuntime({ clock, random: seededRandom(2) })
  const events: RecordedEvent[] = []
  const cgroups = new Set<string>()
  const mounter = createMemoryMounter()
  const host: HostPressure = { memoryAvailableBytes: 2 ** 31, fsBytes: 2 ** 36, fsAvailableBytes: 2 ** 35, fsInodes: 1000, fsInodesFree: 900, pids: 100, pidsMax: 32_768 }
  const log: Log = options.log ? createLog({ format: 'text', level: 'debug', nowMs: () => clock.nowMs(), write: (l) => process.stderr.write(`${l}\n`) }) : silentLog
  let agent: { kubelet: Kubelet; stop: AbortController; done: Promise<void> } | undefined
  let seed = 10
  api.put(SERVICES, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'kubernetes', namespace: 'default' }, spec: { clusterIP: '10.43.0.1', ports: [{ name: 'https', port: 443, protocol: 'TCP' }] } } as never)

  const world: NodeWorld = {
    clock, api, runtime, events, cgroups, dir, host,
    kubelet() {
      if (!agent) throw new Error('no agent is running')
      return agent.kubelet
    },
    async startAgent() {
      const random = seededRandom(seed++)
      const stop = new AbortController()
      const informers = createInformers(api.client, { clock, random, log, memoryOf: createClusterMemory(join(dir, 'agent', 'known-cluster'), NODE, { clock, log }).of })
      const kubelet = createKubelet({
        nodeName: NODE, client: api.client, informers, runtime, dataDir: join(dir, 'agent'), rootDir: join(dir, 'agent'), clock, random, log, mounter, boardRoot: join(dir, 'board'), kernelLog: options.kernelLog ?? (() => Promise.resolve()),
        config: { ...KUBELET_DEFAULTS, nodeIp: '192.168.7.1', clusterDns: ['10.43.0.10'], podLogsDir: join(dir, 'logs'), resolvConf: '/dev/null', ...options.config },
        events: {
          event: (about, type, reason, message) => events.push({ about: ('fieldPath' in about && about.fieldPath) || ('name' in about ? (about.name ?? '') : ''), type, reason, message }),
          flush: () => Promise.resolve(), close: () => {},
        },
        cgroups: {
          version: 2,
    ensure: (pod) => { cgroups.add(pod.metadata?.uid ?? ''); return Promise.resolve(`/kubepods/pod${pod.metadata?.uid ?? ''}`) },
          grow: (pod) => Promise.resolve(`/kubepods/pod${pod.metadata?.uid ?? ''}`), memoryWorkingSet: () => Promise.resolve(undefined), usage: () => Promise.resolve(undefined), podsUsage: () => Promise.resolve(undefined), holdPods: () => Promise.resolve(), podsMemory: () => Promise.resolve(undefined),
          remove: (uid) => { cgroups.delete(uid); return Promise.resolve() },
          list: () => Promise.resolve([...cgroups]),
        },
        hostFacts: { hostname: NODE, cpuCount: 4, cpuTopology: { cores: 4, sockets: 1 }, memoryBytes: 4 * 2 ** 30, hugepageBytes: {}, architecture: 'amd64', machineId: 'm', systemUuid: 's', bootId: 'b', kernelVersion: '6.1', osImage: 'Debian', swapBytes: 0 },
        hostPressure: () => Promise.resolve({ ...host }),
      })
      const done = kubelet.start(stop.signal)
      void informers.start(stop.signal)
      agent = { kubelet, stop, done }
      await clock.advance(0)
    },
    async stopAgent() {
      if (!agent) return
      agent.stop.abort()
      await clock.advance(0)
      await agent.done
      agent = undefined
    },
    create: (pod) => api.put(PODS, { ...pod, spec: { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName: NODE } }),
    pod: (name) => api.get<Pod>(PODS, `default/${name}`),
    async run(ms, stepMs = 500) {
      await settle(clock)
      for (let left = ms; left > 0; left -= stepMs) {
        await clock.advance(Math.min(stepMs, left))
        await settle(clock)
      }
    },
    async until(what, holds, limitMs = 60_000) {
      for (let passed = 0; passed <= limitMs; passed += 100) {
        await settle(clock)
        if (holds()) return
        await clock.advance(100)
      }
      throw new Error(`not within ${limitMs} ms: ${what}; pods: ${JSON.stringify(api.list<Pod>(PODS).map((p) => [p.metadata.name, p.status?.phase, p.status?.containerStatuses?.map((c) => c.state)]))}; events: ${events.map((e) => `${e.reason}: ${e.message}`).slice(-8).join(' | ')}`)
    },
    reasons: () => events.map((e) => e.reason),
    async end() {
      await world.stopAgent()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return world
}

/** One whose agent runs and has the image `busybox:1`; it ends with the test. */
export async function startNodeWorld(t: TestContext, options?: Parameters<typeof createNodeWorld>[0]): Promise<NodeWorld> {
  const w = createNodeWorld(options)
  t.after(() => w.end())
  w.runtime.control.addImage('busybox:1')
  await w.startAgent()
  return w
}

/** Files are real and take real time: time stands still until none is being read or written. */
async function settle(clock: FakeClock): Promise<void> {
  for (let quiet = 0; quiet < 3;) {
    await clock.advance(0)
    quiet = areFilesUnderWay() ? 0 : quiet + 1
  }
}

/** A pod as the API server would have defaulted it. */
export function pod(name: string, spec: Partial<NonNullable<Pod['spec']>> = {}, metadata: Pod['metadata'] = {}): Pod {
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', ...metadata },
    spec: { restartPolicy: 'Always', terminationGracePeriodSeconds: 30, dnsPolicy: 'ClusterFirst', containers: [{ name: 'app', image: 'busybox:1', imagePullPolicy: 'IfNotPresent' }], ...spec },
    status: { phase: 'Pending', qosClass: 'BestEffort' },
  }
}
