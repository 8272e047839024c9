/** Registers this node and keeps its status true: written when it says something new, and every so often (5 minutes). */
import { isReason, type Client } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { NODES, type Node, type NodeStatus, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { ContainerRuntime, RuntimeStatus } from '#cri/index.ts'
import type { KubeletConfig } from '../config.ts'
import type { HostFacts, HostPressure } from './host-facts.ts'
import type { PressureCondition } from '../eviction/thresholds.ts'
import type { Sign } from './board/signs.ts'
import { conditionEvents, schedulableEvent, startEvents, type NodeEvent } from './node-events.ts'
import type { NodeStartup } from './node-startup.ts'
import { conditionProblems } from '../runtime-problems.ts'
import { newNode, nodeLabels, nodeStatus, nodeStatusDiffers, type NodeInput } from './node-status.ts'

export interface NodeReporterDeps {
  nodeName: string
  /** Our Node as the cluster tells it. */
  observed(): Stored<Node> | undefined
  client: Client
  runtime: ContainerRuntime
  config: KubeletConfig
  facts: HostFacts
  pressure(): Promise<HostPressure>
  /** Names of the volumes that the cluster must not detach. */
  volumesInUse(): Promise<readonly string[]>
  /** Looks at the board. */
  signs(): Promise<readonly Sign[]>
  /** Of plugins and of the agent's own rules. */
  devices(): ReadonlyMap<string, { capacity: number; allocatable: number }>
  events: EventRecorder
  servedPort(): number
  underPressure(): ReadonlySet<PressureCondition>
  /** Besides the runtime's reasons. */
  notReady(): readonly string[]
  memoryVolumesMaySwap(): Promise<boolean>
  startup: Pick<NodeStartup, 'registers' | 'isRegistered' | 'isReady'>
  clock: Clock
  log: Log
}

export interface NodeReporter {
  /** Registers, then reports until aborted. Never rejects. */
  run(signal: AbortSignal): Promise<void>
  /** Look at once: something of the node has changed (network up, image pulled). */
  poke(): void
  readonly node: Stored<Node> | undefined
}

/** Upstream's kubelet keeps these while it runs; the others are set when it starts. */
const MACHINE_LABELS = ['kubernetes.io/os', 'kubernetes.io/arch']
/** Doubled with each failure up to the time between two looks: a node may be without its server for days. */
const RETRY_MS = 2_000

export function createNodeReporter(deps: NodeReporterDeps): NodeReporter {
  const { nodeName, client, runtime, config, clock } = deps
  const log = deps.log.with('node')
  let node: Stored<Node> | undefined
  let reported: NodeStatus | undefined
  let reportedMs = -Infinity
  let wake: AbortController | undefined
  let poked = false
  let isStarted = false
  let wasUnschedulable: boolean | undefined

  const input = async (): Promise<NodeInput> => {
    const [{ runtimeName, runtimeVersion }, pressure, { notReady, ...features }] = [await runtime.version(), await deps.pressure(), await runtimeState(runtime)]
    return { nodeName, config: { ...config, kubeletPort: deps.servedPort() }, facts: deps.facts, pressure, underPressure: deps.underPressure(), notReady: [...notReady, ...deps.notReady()], runtime: { name: runtimeName, version: runtimeVersion, ...features }, images: await runtime.listImages().catch(() => []), before: reported ?? node?.status, volumesInUse: await deps.volumesInUse(), devices: deps.devices(), signs: await deps.signs(), advertised: (deps.observed() ?? node)?.status?.capacity, nowMs: clock.nowMs() }
  }

  const register = async (signal: AbortSignal): Promise<void> => {
    if (config.registersNode) await createOrAdopt(signal)
    else node = await client.get<Node>(NODES, nodeName, undefined, signal)
    if (!isStarted && node) tell(startEvents(nodeName, node, { bootId: deps.facts.bootId, memoryVolumesMaySwap: await deps.memoryVolumesMaySwap() }), node)
    isStarted = true
    reported = undefined
    reportedMs = -Infinity
  }

  const createOrAdopt = async (signal: AbortSignal): Promise<void> => {
    const wanted = newNode(await input())
    deps.startup.registers()
    try {
      node = await client.create<Node>(NODES, wanted, { signal })
      deps.startup.isRegistered()
      log.info('node registered', { node: nodeName })
      tell(conditionEvents(nodeName, {}, node.status ?? {}), node)
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error
      node = await adopt(await client.get<Node>(NODES, nodeName, undefined, signal), signal)
    }
  }

  /** Our own Node from before: labels that are ours are brought up to date, all else is left alone. */
  const adopt = async (found: Stored<Node>, signal: AbortSignal): Promise<Stored<Node>> => {
    const labels = Object.entries(nodeLabels(nodeName, deps.facts, config)).filter(([key, value]) => found.metadata.labels?.[key] !== value)
    if (labels.length === 0) return found
    return client.patch<Node>(NODES, nodeName, undefined, 'application/merge-patch+json', { metadata: { labels: Object.fromEntries(labels) } }, { signal })
  }

  /** Who put another system or processor there would send pods here that cannot run. */
  const keepKindOfMachine = async (observed: Stored<Node> | undefined, signal: AbortSignal): Promise<void> => {
    if (!observed) return
    const labels = nodeLabels(nodeName, deps.facts, config)
    const wrong = MACHINE_LABELS.filter((key) => observed.metadata.labels?.[key] !== labels[key])
    if (wrong.length > 0) await client.patch<Node>(NODES, nodeName, undefined, 'application/merge-patch+json', { metadata: { labels: Object.fromEntries(wrong.map((key) => [key, labels[key]])) } }, { signal })
  }

  const report = async (signal: AbortSignal): Promise<void> => {
    if (!node) return
    const observed = deps.observed()
    await keepKindOfMachine(observed, signal)
    // While we could not be heard the cluster wrote that nothing is known of us: that is what changes now.
    const isDoubted = reportedMs > -Infinity && observed?.status?.conditions?.some((c) => c.status === 'Unknown') === true
    if (isDoubted) reported = observed?.status
    const before = reported ?? node.status ?? {}
    const status = nodeStatus(await input())
    if (reported && !isDoubted && !nodeStatusDiffers(before, status) && clock.monotonicMs() - reportedMs < config.statusReportMs) return
    node = await client.patch<Node>(NODES, nodeName, undefined, 'application/strategic-merge-patch+json', { status: statusChange(before, status) }, { subresource: 'status', signal })
    tell(conditionEvents(nodeName, before, status), node)
    if (status.conditions?.some((c) => c.type === 'Ready' && c.status === 'True')) deps.startup.isReady()
    reported = status
    reportedMs = clock.monotonicMs()
  }

  const tell = (events: readonly NodeEvent[], about: Stored<Node>) => {
    for (const { type, reason, message } of events) deps.events.event({ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: about.metadata.uid }, type, reason, message)
  }

  const tellSchedulable = () => {
    const now = deps.observed()
    if (!now) return
    const isUnschedulable = now.spec?.unschedulable ?? false
    if (wasUnschedulable !== undefined && wasUnschedulable !== isUnschedulable) tell([schedulableEvent(nodeName, isUnschedulable)], now)
    wasUnschedulable = isUnschedulable
  }

  return {
    get node() { return node },
    poke() {
      poked = true
      wake?.abort()
    },
    async run(signal) {
      let failures = 0
      while (!signal.aborted) {
        poked = false
        try {
          if (!node) await register(signal)
          await report(signal)
          tellSchedulable()
          failures = 0
        } catch (error) {
          if (signal.aborted) return
          // Deleted under us: it is registered anew.
          if (isReason(error, 'NotFound')) node = undefined
          log[failures++ === 0 ? 'warn' : 'debug']('cannot report the node', { error: asError(error) })
        }
        if (poked) continue
        wake = new AbortController()
        await clock.sleep(failures > 0 ? Math.min(config.statusLookMs, RETRY_MS * 2 ** Math.min(failures - 1, 10)) : config.statusLookMs, AbortSignal.any([signal, wake.signal])).catch(() => {}) // Woken or ended: the loop's condition tells which.
        wake = undefined
      }
    },
  }
}

/** In upstream's words; the runtime's reason and message are part of them. */
async function runtimeState(runtime: ContainerRuntime): Promise<Pick<RuntimeStatus, 'handlers' | 'supplementalGroupsPolicy'> & { notReady: string[] }> {
  try {
    const { conditions, handlers, supplementalGroupsPolicy } = await runtime.status()
    return { notReady: conditionProblems(conditions), handlers, supplementalGroupsPolicy }
  } catch (error) {
    return { notReady: [`container runtime status check may not have completed yet: ${asError(error).message}`], handlers: [], supplementalGroupsPolicy: false }
  }
}

/** Only what changed; lists that merge by key are replaced whole. */
function statusChange(before: NodeStatus, after: NodeStatus): Record<string, unknown> {
  const change: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(after)) {
    const old = (before as Record<string, unknown>)[key]
    if (key === 'conditions') change[key] = value
    else if (JSON.stringify(old) === JSON.stringify(value)) continue
    else if (key === 'addresses') change[key] = [...(value as unknown[]), { $patch: 'replace' }]
    else if ((key === 'capacity' || key === 'allocatable') && typeof old === 'object' && old !== null) change[key] = { ...Object.fromEntries(Object.keys(old).filter((k) => !(k in (value as object))).map((k) => [k, null])), ...(value as object) }
    else change[key] = value
  }
  return change
}
