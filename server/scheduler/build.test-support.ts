/** Builders for the scheduler's tests: a test states only what matters to it. */
import type { Node, NodeSpec, Pod, PodSpec, Stored } from '#api/types/index.ts'
import { nodeInfo, podInfo, type NodeInfo, type PodInfo, type Snapshot } from './node-info.ts'

const meta = (name: string, namespace: string | undefined, labels: Record<string, string>) => ({ name, ...(namespace && { namespace }), uid: `uid-${name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', labels })

export function pod(name: string, options: { labels?: Record<string, string>; namespace?: string; requests?: Record<string, string>; hostPort?: number; spec?: Partial<PodSpec>; owned?: boolean } = {}): PodInfo {
  const container = { name: 'c', image: 'busybox', ...(options.requests && { resources: { requests: options.requests } }), ...(options.hostPort && { ports: [{ containerPort: 80, hostPort: options.hostPort }] }) }
  const made: Stored<Pod> = { metadata: { ...meta(name, options.namespace ?? 'default', options.labels ?? {}), ...(options.owned && { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: 'rs' }] }) }, spec: { containers: [container], ...options.spec } }
  return podInfo(made)
}

export function node(name: string, options: { labels?: Record<string, string>; cpu?: string; memory?: string; pods?: string; spec?: NodeSpec; placed?: PodInfo[]; extra?: Record<string, string>; features?: string[] } = {}): NodeInfo {
  const allocatable = { cpu: options.cpu ?? '4', memory: options.memory ?? '8Gi', pods: options.pods ?? '110', ...options.extra }
  const made: Stored<Node> = { metadata: meta(name, undefined, { 'kubernetes.io/hostname': name, ...options.labels }), spec: options.spec ?? {}, status: { allocatable, ...(options.features && { declaredFeatures: options.features }) } }
  return nodeInfo(made, options.placed ?? [])
}

export const snapshot = (...nodes: NodeInfo[]): Snapshot => ({ nodes, namespaceLabels: () => ({}) })
