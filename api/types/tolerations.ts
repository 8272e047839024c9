/** Which taints a pod tolerates (core/v1 `Toleration.ToleratesTaint`). */
import type { Taint, Toleration } from './generated/models.ts'

export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false
  if (toleration.key && toleration.key !== taint.key) return false
  switch (toleration.operator ?? 'Equal') {
    case 'Exists':
      return true
    case 'Equal':
    case '':
      return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '')
    case 'Lt':
    case 'Gt':
      return comparesTo(toleration, taint)
    default:
      return false
  }
}

/** Numeric tolerations (KEP-5471). */
function comparesTo(toleration: Toleration, taint: Taint): boolean {
  const [bound, value] = [toleration.value ?? '', taint.value ?? '']
  if (!toleration.key || !/^-?\d+$/.test(bound) || !/^-?\d+$/.test(value)) return false
  return toleration.operator === 'Lt' ? BigInt(value) < BigInt(bound) : BigInt(value) > BigInt(bound)
}

export function untolerated(taints: readonly Taint[] | undefined, tolerations: readonly Toleration[] | undefined, effects: readonly string[]): Taint | undefined {
  return taints?.find((taint) => effects.includes(taint.effect) && !tolerations?.some((t) => tolerates(t, taint)))
}
