/** How long work on volumes takes, by kind of volume, and calls of CSI drivers, under upstream's names; how many volumes there are. */
import type { Clock } from '#base/clock.ts'
import { grpcCodeName, GrpcError } from '#base/grpc/grpc-status.ts'
import { createHistogram } from './histogram.ts'
import type { MetricFamily } from './metrics-text.ts'

/** What upstream's operation executor calls it. */
export type StorageOperation = 'volume_mount' | 'map_volume' | 'volume_unmount' | 'volume_fs_resize' | 'volume_apply_access_control'

/** Of all pods, by the plugins' names. */
export interface VolumeCounts { desired: readonly string[]; actual: readonly string[] }

export interface StorageOperations {
  timed<T>(plugin: string, operation: StorageOperation, work: () => Promise<T>): Promise<T>
  /** A call of a driver; `path` is the method's. */
  timedCall<T>(driver: string, path: string, work: () => Promise<T>): Promise<T>
  /** A volume was wanted for so long until it was mounted, failures included. */
  mounted(plugin: string, tookMs: number): void
  metrics(volumes: VolumeCounts): MetricFamily[]
}

const BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600]

export function createStorageOperations(clock: Clock): StorageOperations {
  const operations = createHistogram({ name: 'storage_operation_duration_seconds', help: '[ALPHA] Storage operation duration', bounds: BOUNDS, labels: ['volume_plugin', 'operation_name', 'status', 'migrated'] })
  const totals = createHistogram({ name: 'volume_operation_total_seconds', help: '[ALPHA] Storage operation end to end duration in seconds', bounds: BOUNDS, labels: ['plugin_name', 'operation_name'] })
  const calls = createHistogram({ name: 'csi_operations_seconds', help: '[ALPHA] Container Storage Interface operation duration with gRPC error code status total', bounds: BOUNDS, labels: ['driver_name', 'method_name', 'grpc_status_code', 'migrated'] })
  const secondsSince = (beganMs: number): number => (clock.monotonicMs() - beganMs) / 1000

  return {
    async timed(plugin, operation, work) {
      const beganMs = clock.monotonicMs()
      let status = 'fail-unknown'
      try {
        const result = await work()
        status = 'success'
        return result
      } finally {
        operations.observe(secondsSince(beganMs), { volume_plugin: plugin, operation_name: operation, status, migrated: 'false' })
      }
    },
    async timedCall(driver, path, work) {
      const beganMs = clock.monotonicMs()
      let code = 'OK'
      try {
        return await work()
      } catch (error) {
        code = error instanceof GrpcError ? grpcCodeName(error.status) : 'unknown-non-grpc'
        throw error
      } finally {
        calls.observe(secondsSince(beganMs), { driver_name: driver, method_name: path, grpc_status_code: code, migrated: 'false' })
      }
    },
    mounted: (plugin, tookMs) => totals.observe(tookMs / 1000, { plugin_name: plugin, operation_name: 'overall_volume_mount' }),
    metrics: ({ desired, actual }) => [
      calls.family(), operations.family(),
      {
        name: 'volume_manager_total_volumes', help: '[ALPHA] Number of volumes in Volume Manager', type: 'gauge',
        samples: ([['actual_state_of_world', actual], ['desired_state_of_world', desired]] as const).flatMap(([state, plugins]) => [...Map.groupBy(plugins, (plugin) => plugin)].map(([plugin, all]) => ({ labels: { plugin_name: plugin, state }, value: all.length }))),
      },
      totals.family(),
    ],
  }
}
