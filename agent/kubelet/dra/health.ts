/** How the devices of drivers are, as they tell and for as long as it counts (KEP-4680). Pure. */
import { HEALTHS, type ReportedHealth } from './calls.ts'
import type { DeviceHealth } from './claims.ts'

interface Known extends DeviceHealth { readonly atMs: number; readonly timeoutMs: number }

/** Of one driver, by pool and device. */
export type DriverHealth = ReadonlyMap<string, Known>

/** Upstream's DefaultHealthTimeout. */
const TIMEOUT_MS = 30_000
/** Upstream's ResourceHealthMessageMaxLength, in bytes. */
const MESSAGE_BYTES_MAX = 1_024
const UNKNOWN: DeviceHealth = { health: 'Unknown', message: '' }

const keyOf = (pool: string, device: string): string => `${pool}/${device}`

/** After an answer of the driver. What it leaves out is as it was until its time is over. */
export function takeHealth(before: DriverHealth, devices: readonly ReportedHealth[], nowMs: number): DriverHealth {
  const after = new Map([...before].filter(([, known]) => nowMs - known.atMs <= known.timeoutMs))
  for (const { device, health, healthCheckTimeoutSeconds, message } of devices) {
    const timeoutMs = healthCheckTimeoutSeconds > 0 ? healthCheckTimeoutSeconds * 1000 : TIMEOUT_MS
    after.set(keyOf(device?.poolName ?? '', device?.deviceName ?? ''), { health: HEALTHS[health] ?? UNKNOWN.health, message: shortened(message), atMs: nowMs, timeoutMs })
  }
  return after
}

export function healthOf(known: DriverHealth | undefined, pool: string, device: string, nowMs: number): DeviceHealth {
  const found = known?.get(keyOf(pool, device))
  return found && nowMs - found.atMs <= found.timeoutMs ? { health: found.health, message: found.message } : UNKNOWN
}

/** Whether what is told of any device is another now. */
export function differs(before: DriverHealth, after: DriverHealth): boolean {
  return before.size !== after.size || [...after].some(([key, { health, message }]) => before.get(key)?.health !== health || before.get(key)?.message !== message)
}

/** In which the first of them will not count any more. */
export function expiresInMs(known: Iterable<DriverHealth>, nowMs: number): number | undefined {
  const left = [...known].flatMap((of) => [...of.values()].map(({ atMs, timeoutMs }) => atMs + timeoutMs - nowMs)).filter((ms) => ms >= 0)
  return left.length === 0 ? undefined : Math.min(...left) + 1
}

function shortened(message: string): string {
  const bytes = Buffer.from(message)
  return bytes.length <= MESSAGE_BYTES_MAX ? message : `${bytes.subarray(0, MESSAGE_BYTES_MAX - 3).toString().replace(/\uFFFD+$/, '')}...`
}
