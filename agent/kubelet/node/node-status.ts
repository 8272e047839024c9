/** The Node object as this agent would have it: labels, capacity, conditions, addresses, with upstream's names and words. Pure. */
import type { ContainerImage, Node, NodeCondition, NodeStatus, Taint } from '#api/types/index.ts'
import type { Image, RuntimeStatus } from '#cri/index.ts'
import type { PressureCondition } from '../eviction/thresholds.ts'
import type { KubeletConfig } from '../config.ts'
import { time } from '../time.ts'
import { nodeAllocatable } from './allocatable.ts'
import { BOARD_CONDITIONS, type Sign } from './board/signs.ts'
import type { HostFacts, HostPressure } from './host-facts.ts'

export interface NodeInput {
  nodeName: string
  config: KubeletConfig
  facts: HostFacts
  pressure: HostPressure
  runtime: { name: string; version: string } & Pick<RuntimeStatus, 'handlers' | 'supplementalGroupsPolicy'>
  /** As the eviction manager sees it. */
  underPressure: ReadonlySet<PressureCondition>
  /** What the board tells of itself. */
  signs: readonly Sign[]
  /** Empty: ready. Each says why not. */
  notReady: readonly string[]
  images: readonly Image[]
  volumesInUse: readonly string[]
  /** Of device plugins and this agent's own rules, by resource. */
  devices: ReadonlyMap<string, { capacity: number; allocatable: number }>
  /** The conditions the API has, for their transition times. */
  before: NodeStatus | undefined
  /** The capacity the API has: extended resources in it are somebody else's word (`kubectl patch`, device plugins of other hands), which is kept. */
  advertised: Readonly<Record<string, string>> | undefined
  nowMs: number
}

/** What servers ask of a node before they count on it (KEP-5328), by name. Of 1.36's list it has not the others. */
const DECLARED_FEATURES = ['ExtendWebSocketsToKubelet', 'InPlacePodLevelResourcesVerticalScaling', 'InPlacePodVerticalScalingInitContainers', 'RestartAllContainersOnContainerExits']
/** Upstream's. */
const NAMES_PER_IMAGE_MAX = 5

export function nodeLabels(nodeName: string, facts: HostFacts, config: KubeletConfig): Record<string, string> {
  return {
    'beta.kubernetes.io/arch': facts.architecture, 'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': facts.architecture, 'kubernetes.io/hostname': nodeName, 'kubernetes.io/os': 'linux',
    ...config.nodeLabels,
  }
}

/** For a Node that does not exist yet. It carries upstream's not-ready taint until the node lifecycle controller lifts it. */
export function newNode(input: NodeInput): Node {
  const notReady: Taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }
  return {
    apiVersion: 'v1', kind: 'Node',
    metadata: { name: input.nodeName, labels: nodeLabels(input.nodeName, input.facts, input.config), annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' } },
    spec: { ...(input.config.providerId !== '' && { providerID: input.config.providerId }), taints: [...input.config.nodeTaints, ...(input.notReady.length > 0 ? [notReady] : [])] },
    status: nodeStatus(input),
  }
}

export function nodeStatus(input: NodeInput): NodeStatus {
  const { config, facts, runtime } = input
  const capacity = { ...nodeCapacity(input), ...extendedResources(input.advertised ?? {}) }
  const allocatable = nodeAllocatable(capacity, config)
  for (const [resource, count] of input.devices) {
    capacity[resource] = String(count.capacity)
    allocatable[resource] = String(count.allocatable)
  }
  return {
    addresses: [{ type: 'InternalIP', address: config.nodeIp }, { type: 'Hostname', address: input.nodeName }],
    capacity,
    allocatable,
    conditions: nodeConditions(input),
    daemonEndpoints: { kubeletEndpoint: { Port: config.kubeletPort } },
    nodeInfo: {
      architecture: facts.architecture, bootID: facts.bootId, containerRuntimeVersion: `${runtime.name}://${runtime.version}`, kernelVersion: facts.kernelVersion, kubeProxyVersion: '', kubeletVersion: config.version,
      machineID: facts.machineId, operatingSystem: 'linux', osImage: facts.osImage, systemUUID: facts.systemUuid, ...(facts.swapBytes > 0 && { swap: { capacity: facts.swapBytes } }),
    },
    images: nodeImages(input.images, config.statusImagesMax),
    ...((input.volumesInUse.length > 0 || (input.before?.volumesInUse ?? []).length > 0) && { volumesInUse: [...input.volumesInUse] }),
    declaredFeatures: [...DECLARED_FEATURES],
    features: { supplementalGroupsPolicy: runtime.supplementalGroupsPolicy },
    runtimeHandlers: runtime.handlers.map(({ name, ...features }) => ({ name, features })),
  }
}

export function nodeCapacity({ facts, pressure, config }: Pick<NodeInput, 'facts' | 'pressure' | 'config'>): Record<string, string> {
  return {
    cpu: String(facts.cpuCount),
    'ephemeral-storage': `${Math.floor(pressure.fsBytes / 1024)}Ki`,
    ...Object.fromEntries(Object.entries(facts.hugepageBytes).map(([size, bytes]) => [`hugepages-${size}`, bytes === 0 ? '0' : `${Math.floor(bytes / 1024)}Ki`])),
    memory: `${Math.floor(facts.memoryBytes / 1024)}Ki`,
    pods: String(config.podsPerCore > 0 ? Math.min(config.maxPods, config.podsPerCore * facts.cpuCount) : config.maxPods),
  }
}

/** Named with a domain that is not Kubernetes' own. */
function extendedResources(capacity: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(capacity).filter(([name]) => name.includes('/') && !/(^|\.)kubernetes\.io\//.test(name)))
}

function nodeConditions(input: NodeInput): NodeCondition[] {
  const { underPressure, notReady } = input
  const pressure = (type: PressureCondition, reason: string, words: string): NodeCondition => {
    const bad = underPressure.has(type)
    return condition(input, type, bad, bad ? `KubeletHas${reason}` : good(type), bad ? `kubelet has ${words}` : goodWords(type))
  }
  return [
    ...input.signs.map(({ type, on, reason, message }) => condition(input, type, on, reason, message)),
    pressure('MemoryPressure', 'InsufficientMemory', 'insufficient memory available'),
    pressure('DiskPressure', 'DiskPressure', 'disk pressure'),
    pressure('PIDPressure', 'InsufficientPID', 'insufficient PID available'),
    notReady.length === 0
      ? condition(input, 'Ready', true, 'KubeletReady', 'kubelet is posting ready status')
      : condition(input, 'Ready', false, 'KubeletNotReady', notReady.length === 1 ? (notReady[0] ?? '') : `[${notReady.join(', ')}]`),
  ]
}

const good = (type: string): string => (type === 'MemoryPressure' ? 'KubeletHasSufficientMemory' : type === 'DiskPressure' ? 'KubeletHasNoDiskPressure' : 'KubeletHasSufficientPID')
const goodWords = (type: string): string => (type === 'MemoryPressure' ? 'kubelet has sufficient memory available' : type === 'DiskPressure' ? 'kubelet has no disk pressure' : 'kubelet has sufficient PID available')

function condition({ before, nowMs }: NodeInput, type: string, on: boolean, reason: string, message: string): NodeCondition {
  const old = before?.conditions?.find((c) => c.type === type)
  const status = on ? 'True' : 'False'
  return { type, status, reason, message, lastHeartbeatTime: time(nowMs), lastTransitionTime: old?.status === status && old.lastTransitionTime !== undefined ? old.lastTransitionTime : time(nowMs) }
}

/** `max` -1: all. */
function nodeImages(images: readonly Image[], max: number): ContainerImage[] {
  return images.toSorted((a, b) => b.sizeBytes - a.sizeBytes).slice(0, max < 0 ? images.length : max)
    .map((i) => ({ names: [...i.repoDigests, ...i.repoTags].slice(0, NAMES_PER_IMAGE_MAX), sizeBytes: i.sizeBytes }))
}

/** Whether it says anything new: heartbeat times alone do not count. */
export function nodeStatusDiffers(a: NodeStatus, b: NodeStatus): boolean {
  return JSON.stringify(normal(a)) !== JSON.stringify(normal(b))
}

function normal({ addresses, capacity, allocatable, conditions, daemonEndpoints, nodeInfo, images, volumesInUse = [], declaredFeatures, features, runtimeHandlers }: NodeStatus): unknown {
  const own: string[] = ['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready', ...BOARD_CONDITIONS]
  return sorted({
    addresses, capacity, allocatable, daemonEndpoints, nodeInfo, images, volumesInUse, declaredFeatures, features, runtimeHandlers,
    conditions: conditions?.filter((c) => own.includes(c.type)).map((c) => ({ type: c.type, status: c.status, reason: c.reason, message: c.message })).toSorted((a, b) => (a.type < b.type ? -1 : 1)),
  })
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined && v !== null).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]))
}
