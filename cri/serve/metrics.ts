/** ListMetricDescriptors and ListPodSandboxMetrics: their values are whole numbers on the wire. */
import type { Written } from '#base/protobuf/message.ts'
import type { MetricDescriptor, MetricSample, PodSandboxMetrics } from '../runtime.ts'
import { METRIC_TYPES } from '../wire/enums.ts'
import type * as m from '../wire/messages.ts'
import { nanos } from './answers.ts'

export function descriptorsMessage(descriptors: readonly MetricDescriptor[]): Written<typeof m.ListMetricDescriptors> {
  return { descriptors: descriptors.map(({ name, help, labelKeys }) => ({ name, help, labelKeys: [...labelKeys] })) }
}

export function podMetricsMessage(pods: readonly PodSandboxMetrics[]): Written<typeof m.ListPodSandboxMetrics> {
  const told = (samples: readonly MetricSample[]) => samples.map(({ name, type, atMs, value, labelValues }) => ({ name, metricType: METRIC_TYPES[type], timestamp: nanos(atMs), value: { value: Math.floor(value) }, labelValues: [...labelValues] }))
  return {
    podMetrics: pods.map(({ podSandboxId, metrics, containerMetrics }) => ({ podSandboxId, metrics: told(metrics), containerMetrics: containerMetrics.map((c) => ({ containerId: c.containerId, metrics: told(c.metrics) })) })),
  }
}
