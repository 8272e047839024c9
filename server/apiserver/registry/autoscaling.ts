/** The rows of one API group, see ../registry.ts. */
import type { KindRow } from '../kind.ts'
import { horizontalPodAutoscalerStrategy } from '../kinds/horizontal-pod-autoscaler.ts'
import { autoscalerFromStored, autoscalerToStored, horizontalPodAutoscalerV1Strategy } from '../kinds/horizontal-pod-autoscaler-v1.ts'
import { ALL, refsOf, row } from './row.ts'

const AUTOSCALERS = refsOf('autoscaling', 'v2')('horizontalpodautoscalers', 'HorizontalPodAutoscaler')

export const autoscalingRows: readonly KindRow[] = [
  row(AUTOSCALERS, horizontalPodAutoscalerStrategy, { short: ['hpa'], categories: ALL, sub: ['status'], model: 'V2HorizontalPodAutoscaler' }),
  row({ ...AUTOSCALERS, version: 'v1' }, horizontalPodAutoscalerV1Strategy, {
    short: ['hpa'], categories: ALL, sub: ['status'],
    storedAs: {
      ref: AUTOSCALERS,
      model: 'V2HorizontalPodAutoscaler',
      toStored: (view) => autoscalerToStored(view as Parameters<typeof autoscalerToStored>[0]),
      fromStored: (stored) => autoscalerFromStored(stored as Parameters<typeof autoscalerFromStored>[0]),
    },
  }),
]
