/** Runs the probes of all running containers on one timer; verdicts are kept by container id and told when they change. */
import type { Container } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { ContainerEvent } from '../image-puller.ts'
import { allContainers, isStarting, newest, readySandbox, type ContainerProbes, type ContainerView, type PodView, type ProbeKind, type ProbeResult } from '../view.ts'
import { createDistribution, DEFAULT_BOUNDS, type Distribution } from '../stats/histogram.ts'
import type { MetricFamily, ProbeCount } from '../stats/metrics-text.ts'
import { firstProbeAtMs, initialProbeState, nextProbeState, probePeriodMs, type ProbeState } from './probe-state.ts'
import type { RunProbe } from './run-probe.ts'
import { createTimerWheel } from './timer-wheel.ts'

export interface Prober {
  /** Follows what was seen: probes of new containers begin, those of ended ones stop. */
  follow(view: PodView, event: (container: string, type: string) => ContainerEvent): void
  of(podUid: string): ReadonlyMap<string, ContainerProbes>
  forget(podUid: string): void
  /** Of the probes that run now, since each began. */
  counts(): ProbeCount[]
  /** Of the same. */
  durations(): MetricFamily
  close(): void
}

export interface ProberDeps { clock: Clock; random: Random; log: Log; run: RunProbe; onChange(podUid: string): void }

interface Worker {
  key: string
  podUid: string
  kind: ProbeKind
  containerId: string
  container: Container
  state: ProbeState
  podIp: string | undefined
  event: ContainerEvent
  asking: AbortController | undefined
  /** Not asked now: the container has not started by its startup probe, or the pod is ending. */
  paused: boolean
  pod: { name: string; namespace: string }
  counts: { successful: number; failed: number; unknown: number }
  /** Of those that found something out. */
  durations: Distribution
}

const KINDS: readonly ProbeKind[] = ['startup', 'liveness', 'readiness']

export function createProber(deps: ProberDeps): Prober {
  const { clock, log } = deps
  const wheel = createTimerWheel(clock)
  const workers = new Map<string, Worker>()
  const byPod = new Map<string, Map<string, Worker>>()

  const stop = (w: Worker) => {
    wheel.cancel(w.key)
    w.asking?.abort(new Error('the probe is over'))
    workers.delete(w.key)
    byPod.get(w.podUid)?.delete(w.key)
    if (byPod.get(w.podUid)?.size === 0) byPod.delete(w.podUid)
  }

  const schedule = (w: Worker, inMs: number) => wheel.set(w.key, clock.monotonicMs() + inMs, () => { void ask(w) })

  const ask = async (w: Worker): Promise<void> => {
    const probe = probeOf(w.container, w.kind)
    if (!probe || w.asking || w.paused || w.state.onHold || workers.get(w.key) !== w) return
    const asking = new AbortController()
    w.asking = asking
    const beganMs = clock.monotonicMs()
    try {
      const { result, output, state = 'unknown' } = await deps.run({ probe, container: w.container, containerId: w.containerId, podIp: w.podIp }, asking.signal)
      if (workers.get(w.key) !== w || w.paused) return
      tell(w, result, output, state)
      // As upstream: how long a refusal took is not counted.
      if (result !== 'failure') w.durations.observe((clock.monotonicMs() - beganMs) / 1000)
      w.counts[result === 'failure' ? 'failed' : result === 'error' ? 'unknown' : 'successful']++
      // What could not be asked says nothing about the container.
      if (result !== 'error') {
        const before = w.state
        w.state = nextProbeState(w.kind, probe, before, result === 'failure' ? 'failure' : 'success')
        if (before.result !== w.state.result || before.onHold !== w.state.onHold) deps.onChange(w.podUid)
      }
    } catch (error) {
      if (!asking.signal.aborted) log.warn('a probe could not be made', { probe: w.key, error: asError(error) })
    } finally {
      w.asking = undefined
      const over = w.state.onHold || (w.kind === 'startup' && w.state.result === 'success')
      if (workers.get(w.key) === w && !over && !w.paused) schedule(w, Math.max(1, beganMs + probePeriodMs(probe) - clock.monotonicMs()))
    }
  }

  const tell = (w: Worker, result: string, output: string, state: string) => {
    const name = kindName(w.kind)
    if (result === 'failure') w.event('Warning', 'Unhealthy', `${name} probe failed: ${output}`)
    else if (result === 'error') w.event('Warning', 'Unhealthy', `${name} probe errored and resulted in ${state} state: ${output}`)
    else if (result === 'warning') w.event('Warning', 'ProbeWarning', `${name} probe warning: ${output}`)
  }

  /** What the API was told is known late where a static pod's mirror is: it holds as long as the container has not been asked in this life. */
  const takeUpKnown = (w: Worker, view: PodView, c: ContainerView): void => {
    if (w.state.result === 'success' || w.counts.successful + w.counts.failed > 0 || knownResult(view, w.kind, c) !== 'success') return
    w.state = initialProbeState(w.kind, 'success')
    if (w.kind === 'startup') wheel.cancel(w.key)
  }

  const begin = (view: PodView, kind: ProbeKind, container: Container, c: ContainerView, type: string, event: (container: string, type: string) => ContainerEvent) => {
    const podUid = view.pod.metadata.uid
    const key = `${podUid}/${container.name}/${kind}/${c.id}`
    const probe = probeOf(container, kind)
    const podIp = view.pod.spec?.hostNetwork ? view.node.hostIps[0] : readySandbox(view)?.ips[0]
    const startup = workers.get(`${podUid}/${container.name}/startup/${c.id}`)?.state.result
    const paused = isPaused(view, kind, container, startup)
    const found = workers.get(key)
    if (found) {
      Object.assign(found, { podIp, container })
      takeUpKnown(found, view, c)
      if (found.paused && !paused) {
        found.paused = false
        if (probe) schedule(found, 0)
      } else if (!found.paused && paused) {
        found.paused = true
        wheel.cancel(key)
      }
      return key
    }
    if (!probe) return undefined
    const w: Worker = { key, podUid, kind, containerId: c.id, container, podIp, paused, event: event(container.name, type), asking: undefined, pod: { name: view.pod.metadata.name, namespace: view.pod.metadata.namespace ?? '' }, counts: { successful: 0, failed: 0, unknown: 0 }, durations: createDistribution(DEFAULT_BOUNDS), state: initialProbeState(kind, knownResult(view, kind, c)) }
    workers.set(key, w)
    const pod = byPod.get(podUid) ?? new Map<string, Worker>()
    byPod.set(podUid, pod.set(key, w))
    const done = kind === 'startup' && w.state.result === 'success'
    if (!paused && !done) schedule(w, firstProbeAtMs(probe, c.startedAtMs, clock.nowMs()) - clock.nowMs())
    return key
  }

  return {
    follow(view, event) {
      const wanted = new Set<string>()
      for (const { spec, type } of allContainers(view.pod)) {
        if (type === 'init' || type === 'ephemeral') continue
        const c = newest(view, spec.name)
        if (c?.state !== 'running' || isStarting(view, spec.name)) continue
        for (const kind of KINDS) {
          const key = begin(view, kind, spec, c, type, event)
          if (key !== undefined) wanted.add(key)
        }
      }
      for (const w of byPod.get(view.pod.metadata.uid)?.values() ?? []) if (!wanted.has(w.key)) stop(w)
    },
    of(podUid) {
      const out = new Map<string, Partial<Record<ProbeKind, ProbeResult>>>()
      for (const w of byPod.get(podUid)?.values() ?? []) out.set(w.containerId, { ...out.get(w.containerId), [w.kind]: w.state.result })
      return out
    },
    forget(podUid) {
      for (const w of byPod.get(podUid)?.values() ?? []) stop(w)
    },
    counts: () => [...workers.values()].flatMap((w) => (['successful', 'failed', 'unknown'] as const).filter((result) => w.counts[result] > 0).map((result) => ({
      namespace: w.pod.namespace, pod: w.pod.name, podUid: w.podUid, container: w.container.name, kind: w.kind, result, count: w.counts[result],
    }))),
    durations: () => ({
      name: 'prober_probe_duration_seconds', help: '[ALPHA] Duration in seconds for a probe response.', type: 'histogram',
      samples: [...workers.values()].filter((w) => w.counts.successful + w.counts.unknown > 0).flatMap((w) => w.durations.samples({ container: w.container.name, namespace: w.pod.namespace, pod: w.pod.name, probe_type: kindName(w.kind) })),
    }),
    close() {
      for (const w of workers.values()) stop(w)
      wheel.close()
    },
  }
}

const kindName = (kind: ProbeKind): string => kind.charAt(0).toUpperCase() + kind.slice(1)

function probeOf(container: Container, kind: ProbeKind) {
  return kind === 'startup' ? container.startupProbe : kind === 'liveness' ? container.livenessProbe : container.readinessProbe
}

/** Until the startup probe has succeeded the others wait; in a pod that ends only readiness goes on. */
function isPaused(view: PodView, kind: ProbeKind, container: Container, startup: ProbeResult | undefined): boolean {
  const ending = view.pod.metadata.deletionTimestamp !== undefined || view.removed
  if (kind !== 'readiness' && ending) return true
  if (kind === 'startup' || !container.startupProbe) return false
  return startup !== 'success'
}

/** After an agent's restart: what the API was told of this very container still holds until it is asked again. */
function knownResult(view: PodView, kind: ProbeKind, c: ContainerView): ProbeResult | undefined {
  if (kind === 'liveness') return undefined
  const told = [...(view.reported.containerStatuses ?? []), ...(view.reported.initContainerStatuses ?? [])].find((s) => s.containerID?.endsWith(`//${c.id}`))
  if (!told) return undefined
  return (kind === 'readiness' ? told.ready : told.started) ? 'success' : undefined
}
