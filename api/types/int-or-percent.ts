/** `maxSurge: 25%` and its kind: numbers or percentages of a total (apimachinery `intstr`). */
export type IntOrString = number | string

/** Undefined when it is neither a number nor a percentage. */
export function scaledValue(value: IntOrString | undefined, total: number, round: 'up' | 'down'): number | undefined {
  if (typeof value === 'number') return value
  const match = /^(\d+)%$/.exec(value ?? '')
  if (!match) return undefined
  const exact = (Number(match[1]) * total) / 100
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact)
}
