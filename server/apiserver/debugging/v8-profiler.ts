/** V8's own profilers, for a while. They watch this process from inside: nothing listens, nothing is attached. */
import type { HeapProfiler, Profiler, Session } from 'node:inspector/promises'
import type { Clock } from '#base/clock.ts'
import type { Frame, Profile, Sample } from './pprof.ts'

/** As Go's: a hundred samples a second, an allocation in 512 KiB. */
const CPU_PERIOD_MICROSECONDS = 10_000
const HEAP_PERIOD_BYTES = 512 * 1024

const SPACE = { type: 'space', unit: 'bytes' }

/** `inuse`: what was allocated meanwhile and is still there at the end. `alloc`: all that was allocated meanwhile. */
export type MemoryKind = 'inuse' | 'alloc'

/** Rejects with the signal's reason when aborted; the profiler is off then, too. */
export async function profileCpu(clock: Clock, ms: number, signal: AbortSignal): Promise<Profile> {
  const timeMs = clock.nowMs()
  return withSession(async (session) => {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: CPU_PERIOD_MICROSECONDS })
    await session.post('Profiler.start')
    await clock.sleep(ms, signal)
    const { profile } = await session.post('Profiler.stop')
    return {
      types: [{ type: 'samples', unit: 'count' }, { type: 'cpu', unit: 'nanoseconds' }], defaultType: 'cpu', samples: cpuSamples(profile),
      timeMs, durationMs: (profile.endTime - profile.startTime) / 1000, period: CPU_PERIOD_MICROSECONDS * 1000, periodType: { type: 'cpu', unit: 'nanoseconds' },
    }
  })
}

export async function profileMemory(kind: MemoryKind, clock: Clock, ms: number, signal: AbortSignal): Promise<Profile> {
  const timeMs = clock.nowMs()
  return withSession(async (session) => {
    const isAll = kind === 'alloc'
    await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_PERIOD_BYTES, includeObjectsCollectedByMajorGC: isAll, includeObjectsCollectedByMinorGC: isAll })
    await clock.sleep(ms, signal)
    const { profile } = await session.post('HeapProfiler.stopSampling')
    return {
      types: [{ type: `${kind}_objects`, unit: 'count' }, { type: `${kind}_space`, unit: 'bytes' }], defaultType: `${kind}_space`, samples: memorySamples(profile as unknown as MemoryProfile),
      timeMs, durationMs: ms, period: HEAP_PERIOD_BYTES, periodType: SPACE,
    }
  })
}

async function withSession<T>(use: (session: Session) => Promise<T>): Promise<T> {
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  session.connect()
  try {
    return await use(session)
  } finally {
    // Stops what still runs.
    session.disconnect()
  }
}

/** Waiting for work is no use of the processor. */
const IDLE = '(idle)'

export function cpuSamples({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Sample[] {
  const parents = new Map(nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)))
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const used = new Map<number, { count: number; nanoseconds: number }>()
  for (const [i, id] of samples.entries()) {
    const sum = used.get(id) ?? { count: 0, nanoseconds: 0 }
    sum.count++
    sum.nanoseconds += Math.max(0, timeDeltas[i] ?? 0) * 1000
    used.set(id, sum)
  }
  return [...used].flatMap(([id, { count, nanoseconds }]) => {
    const stack: Frame[] = []
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = byId.get(at)?.callFrame
      if (frame && parents.has(at)) stack.push(frame)
    }
    return stack.length === 0 || stack[0]?.functionName === IDLE ? [] : [{ stack, values: [count, nanoseconds] }]
  })
}

/** The protocol has more than its published types say. */
type MemoryNode = Pick<HeapProfiler.SamplingHeapProfileNode, 'callFrame'> & { id: number; children: MemoryNode[] }
export interface MemoryProfile { head: MemoryNode; samples: { size: number; nodeId: number }[] }

export function memorySamples({ head, samples }: MemoryProfile): Sample[] {
  const objects = new Map<number, { count: number; bytes: number }>()
  for (const { nodeId, size } of samples) {
    const sum = objects.get(nodeId) ?? { count: 0, bytes: 0 }
    objects.set(nodeId, { count: sum.count + 1, bytes: sum.bytes + size })
  }
  const found: Sample[] = []
  const visit = (node: MemoryNode, outer: readonly Frame[]): void => {
    const stack = node === head ? outer : [node.callFrame, ...outer]
    const sum = objects.get(node.id)
    if (sum && stack.length > 0) found.push({ stack, values: [sum.count, sum.bytes] })
    for (const child of node.children) visit(child, stack)
  }
  visit(head, [])
  return found
}
