/** Building blocks of `kubectl get` columns: durations, selectors and container lists as upstream prints them. */
import type { Container, KubeObject } from '#api/types/index.ts'
import type { Column } from '../kind.ts'

const NAME_DOC = 'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names'
const CREATED_DOC = 'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata'

export function column<T>(name: string, description: string, value: Column<T>['value'], options: { type?: Column<T>['type']; wide?: boolean } = {}): Column<T> {
  return { name, type: options.type ?? 'string', description, priority: options.wide ? 1 : 0, value }
}

/** Only with `-o wide`. */
export const wide = <T>(name: string, description: string, value: Column<T>['value']): Column<T> => column(name, description, value, { wide: true })

export const count = <T>(name: string, description: string, value: Column<T>['value']): Column<T> => column(name, description, value, { type: 'integer' })

export const nameColumn = <T extends KubeObject>(): Column<T> => ({ name: 'Name', type: 'string', format: 'name', description: NAME_DOC, priority: 0, value: (o) => o.metadata?.name ?? '' })

export const ageColumn = <T extends KubeObject>(): Column<T> => column('Age', CREATED_DOC, (o, nowMs) => since(o.metadata?.creationTimestamp, nowMs))

/** Kinds that upstream lists by its plain convertor (roles, limit ranges) show the time itself. */
export const createdAtColumn = <T extends KubeObject>(): Column<T> => ({ name: 'Created At', type: 'date', description: CREATED_DOC, priority: 0, value: (o) => o.metadata?.creationTimestamp ?? null })

/** How long ago; `<unknown>` when not set. */
export function since(timestamp: string | undefined, nowMs: number): string {
  const at = timestamp === undefined ? Number.NaN : Date.parse(timestamp)
  return Number.isFinite(at) ? humanDuration(nowMs - at) : '<unknown>'
}

/** `5s`, `3m20s`, `2h`, `4d`: about two significant parts (apimachinery `duration.HumanDuration`). */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000)
  // Up to two seconds in the future are taken for clocks that disagree.
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.trunc(seconds / 60)
  if (minutes < 10) return withRest(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.trunc(minutes / 60)
  if (hours < 8) return withRest(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.trunc(hours / 24)
  if (hours < 192) return withRest(days, 'd', hours % 24, 'h')
  if (hours < 24 * 365 * 2) return `${days}d`
  const years = Math.trunc(days / 365)
  return hours < 24 * 365 * 8 ? withRest(years, 'y', days % 365, 'd') : `${years}y`
}

const withRest = (whole: number, unit: string, rest: number, restUnit: string): string => (rest === 0 ? `${whole}${unit}` : `${whole}${unit}${rest}${restUnit}`)

/** `a=b,c=d`, sorted; `<none>` when empty. */
export function formatLabels(labels: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(labels ?? {}).map(([k, v]) => `${k}=${v}`).sort().join(',') || '<none>'
}

export const containerNames = (containers: readonly Container[] | undefined): string => (containers ?? []).map((c) => c.name).join(',')
export const containerImages = (containers: readonly Container[] | undefined): string => (containers ?? []).map((c) => c.image ?? '').join(',')

/** The first three, then how many more. */
export function listWithMore(items: readonly string[], empty: string, max = 3): string {
  const shown = items.slice(0, max).join(',')
  if (items.length > max) return `${shown} + ${items.length - max} more...`
  return shown || empty
}

/** `True`, `False`, or `<unset>`. */
export const boolText = (value: boolean | undefined): string => (value === undefined ? '<unset>' : value ? 'True' : 'False')
