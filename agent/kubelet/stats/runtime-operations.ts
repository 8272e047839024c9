/** How often the runtime was asked for what, how long that took and how often it failed: upstream's instrumented services. */
import type { Clock } from '#base/clock.ts'
import type { ContainerRuntime } from '#cri/index.ts'
import { createCounter } from './counter.ts'
import { createHistogram, DEFAULT_BOUNDS, exponentialBounds } from './histogram.ts'
import type { MetricFamily } from './metrics-text.ts'

/** What CRI calls them. What is no call of CRI is not counted. */
const OPERATIONS: Readonly<Partial<Record<keyof ContainerRuntime, string>>> = {
  version: 'version', status: 'status', runPodSandbox: 'run_podsandbox', stopPodSandbox: 'stop_podsandbox', removePodSandbox: 'remove_podsandbox', podSandboxStatus: 'podsandbox_status', listPodSandbox: 'list_podsandbox',
  createContainer: 'create_container', startContainer: 'start_container', stopContainer: 'stop_container', removeContainer: 'remove_container', listContainers: 'list_containers', containerStatus: 'container_status', updateContainerResources: 'update_container',
  reopenContainerLog: 'reopen_container_log', execSync: 'exec_sync', exec: 'exec', attach: 'attach', portForward: 'port_forward', containerStats: 'container_stats', listContainerStats: 'list_container_stats', listSandboxNetworks: 'list_podsandbox_stats',
  listMetricDescriptors: 'list_metric_descriptors', listPodSandboxMetrics: 'list_podsandbox_metrics', listImages: 'list_images', imageStatus: 'image_status', pullImage: 'pull_image', removeImage: 'remove_image', imageFsInfo: 'image_fs_info',
}

export interface RuntimeOperations {
  /** The same runtime, counted. */
  counted(runtime: ContainerRuntime): ContainerRuntime
  metrics(): MetricFamily[]
}

export function createRuntimeOperations(clock: Clock): RuntimeOperations {
  const total = createCounter()
  const errors = createCounter()
  const durations = createHistogram({ name: 'kubelet_runtime_operations_duration_seconds', help: '[ALPHA] Duration in seconds of runtime operations. Broken down by operation type.', bounds: exponentialBounds(0.005, 2.5, 14), labels: ['operation_type'] })
  const sandboxErrors = createCounter()
  const sandboxes = createHistogram({ name: 'kubelet_run_podsandbox_duration_seconds', help: '[ALPHA] Duration in seconds of the run_podsandbox operations. Broken down by RuntimeClass.Handler.', bounds: DEFAULT_BOUNDS, labels: ['runtime_handler'] })

  const counted = (operation: string, call: (...args: unknown[]) => Promise<unknown>) => async (...args: unknown[]): Promise<unknown> => {
    const labels = { operation_type: operation }
    const handler = operation === 'run_podsandbox' ? { runtime_handler: (args[0] as { runtimeHandler?: string }).runtimeHandler ?? '' } : undefined
    const beganMs = clock.monotonicMs()
    total.add(labels)
    try {
      return await call(...args)
    } catch (error) {
      errors.add(labels)
      if (handler) sandboxErrors.add(handler)
      throw error
    } finally {
      const seconds = (clock.monotonicMs() - beganMs) / 1000
      durations.observe(seconds, labels)
      if (handler) sandboxes.observe(seconds, handler)
    }
  }

  return {
    counted(runtime) {
      const methods = new Map<PropertyKey, unknown>()
      return new Proxy(runtime, {
        get(target, key) {
          const known = methods.get(key)
          if (known !== undefined) return known
          const value: unknown = Reflect.get(target, key, target)
          if (typeof value !== 'function') return value
          const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>
          const operation = Object.hasOwn(OPERATIONS, key) ? OPERATIONS[key as keyof ContainerRuntime] : undefined
          const method = operation === undefined ? call : counted(operation, call)
          methods.set(key, method)
          return method
        },
      })
    },
    metrics: () => [
      sandboxes.family(),
      { name: 'kubelet_run_podsandbox_errors_total', help: '[ALPHA] Cumulative number of the run_podsandbox operation errors by RuntimeClass.Handler.', type: 'counter', samples: sandboxErrors.samples() },
      durations.family(),
      { name: 'kubelet_runtime_operations_errors_total', help: '[ALPHA] Cumulative number of runtime operation errors by operation type.', type: 'counter', samples: errors.samples() },
      { name: 'kubelet_runtime_operations_total', help: '[ALPHA] Cumulative number of runtime operations by operation type.', type: 'counter', samples: total.samples() },
    ],
  }
}
