/** Which taints a pod tolerates (core/v1 `Toleration.ToleratesTaint`). */
import type { Taint, Toleration } from '#api/types/index.ts'

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false
  if (toleration.key && toleration.key !== taint.key) return false
  switch (toleration.operator ?? 'Equal') {
    case 'Exists':
      return true
    case 'Equal':
      return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '')
    case 'Lt':
    case 'Gt': {
      const [have, want] = [Number(taint.value), Number(toleration.value)]
      if (!Number.isInteger(have) || !Number.isInteger(want)) return false
      return toleration.operator === 'Lt' ? have < want : have > want
    }
    default:
      return false
  }
}

export function untolerated(taints: readonly Taint[] | undefined, tolerations: readonly Toleration[] | undefined, effects: readonly string[]): Taint | undefined {
  return taints?.find((taint) => effects.includes(taint.effect) && !tolerations?.some((t) => tolerates(t, taint)))
}
