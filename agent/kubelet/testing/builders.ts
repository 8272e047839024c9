/** Pieces of views for tables: each test says only what matters to it. Only tests import it. */
import type { Container, Pod, Stored } from '#api/types/index.ts'
import type { SandboxStatus } from '#cri/index.ts'
import { containerHash, crashLoopKey } from '../labels.ts'
import type { ContainerView, PodView } from '../view.ts'

export const NOW = Date.UTC(2026, 0, 1)
export const SANDBOX = 'sandbox-0'

export function aPod(spec: Partial<NonNullable<Pod['spec']>> = {}, metadata: Partial<Stored<Pod>['metadata']> = {}): Stored<Pod> {
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', uid: 'u1', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', generation: 1, ...metadata },
    spec: { restartPolicy: 'Always', terminationGracePeriodSeconds: 30, containers: [aContainer('app')], ...spec },
  }
}

export const aContainer = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'busybox:1', ...more })

export function aSandbox(more: Partial<SandboxStatus> = {}): SandboxStatus {
  return { id: SANDBOX, metadata: { name: 'web', uid: 'u1', namespace: 'default', attempt: 0 }, state: 'ready', createdAtMs: NOW, ips: ['10.42.0.2'], labels: {}, annotations: {}, ...more }
}

export function running(name: string, more: Partial<ContainerView> = {}): ContainerView {
  const restartCount = more.restartCount ?? 0
  return {
    id: `${name}-${restartCount}`, sandboxId: SANDBOX, metadata: { name, attempt: restartCount }, state: 'running', createdAtMs: NOW, startedAtMs: NOW, finishedAtMs: 0, exitCode: 0, reason: '', message: '', imageId: 'sha256:1',
    imageRef: 'docker.io/library/busybox:1', labels: {}, annotations: {}, logPath: `/l/${name}/${restartCount}.log`, restartCount, backoffSeconds: 0, round: 0, hash: containerHash(aContainer(name)), crashLoopKey: crashLoopKey(aContainer(name)), terminationMessage: '', imageDigestRef: 'docker.io/library/busybox@sha256:2', volumeImageRefs: new Map(), ...more,
  }
}

export function exited(name: string, exitCode: number, more: Partial<ContainerView> = {}): ContainerView {
  return { ...running(name, more), state: 'exited', exitCode, reason: exitCode === 0 ? 'Completed' : 'Error', finishedAtMs: NOW, ...more }
}

export function aView(more: Partial<PodView> = {}): PodView {
  return {
    pod: aPod(), resize: undefined, resizing: undefined, podBefore: undefined, resized: true, removed: false, endingSinceMs: undefined, firstSeenMs: NOW, sandboxes: [aSandbox()], containers: [], probes: new Map(), devices: new Map(), round: 0, prepared: true, holdsClaims: false, tornDown: false, finished: false, failures: new Map(), inFlight: [],
    backOffReported: new Set(), stopBegun: new Set(), replacing: new Set(), reported: {}, node: { hostIps: ['192.168.7.1'], runtimeName: 'memory', memoryBytes: 4 * 2 ** 30, canRecursiveReadOnly: true, restartSecondsMax: 300 }, rejected: undefined, ...more,
  }
}
