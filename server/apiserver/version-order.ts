/** Order of API versions (apimachinery `version.CompareKubeAwareVersionStrings`): v2 > v1 > v2beta1 > v1beta1 > v1alpha1 > foo. Pure. */

const PATTERN = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const RANK: Readonly<Record<string, number>> = { alpha: 0, beta: 1 }

/** Above zero: a is the newer one. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [PATTERN.exec(a), PATTERN.exec(b)]
  if (!left || !right) return left ? 1 : right ? -1 : a === b ? 0 : a < b ? 1 : -1
  const stage = (m: RegExpExecArray): number => (m[2] === undefined ? 2 : (RANK[m[2]] ?? 0))
  return stage(left) - stage(right) || Number(left[1]) - Number(right[1]) || Number(left[3] ?? 0) - Number(right[3] ?? 0)
}
