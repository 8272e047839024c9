/** What happens to `metadata` whatever the kind; its validation is the registry's. Pure. */
import type { KubeObject, ObjectMeta } from '#api/types/index.ts'
import { equalJson } from './equal.ts'

/** Takes over from `old` what an update may leave out or may never set. Changes `meta`. */
export function carryMeta(meta: ObjectMeta, old: ObjectMeta): void {
  meta.uid ||= old.uid ?? ''
  if (!meta.namespace && old.namespace !== undefined) meta.namespace = old.namespace
  if (old.creationTimestamp) meta.creationTimestamp = old.creationTimestamp
  if (old.generation === undefined) delete meta.generation
  else meta.generation = old.generation
  if (old.generateName !== undefined && !meta.generateName) meta.generateName = old.generateName
  if (old.deletionTimestamp !== undefined) meta.deletionTimestamp = old.deletionTimestamp
  if (meta.deletionGracePeriodSeconds === undefined && old.deletionGracePeriodSeconds !== undefined) meta.deletionGracePeriodSeconds = old.deletionGracePeriodSeconds
}

/** Whether anything outside metadata and status differs: what raises metadata.generation by default. */
export function specChanged(object: KubeObject, old: KubeObject): boolean {
  const rest = (o: KubeObject): Record<string, unknown> => ({ ...o, metadata: undefined, status: undefined, kind: undefined, apiVersion: undefined })
  return !equalJson(rest(object), rest(old))
}

/** RFC 3339 in whole seconds, as metav1.Time is printed. Each write asks twice, and nearly always for the second that was asked for last. */
export function timestamp(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== printed.second) {
    printed.text = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`
    printed.second = second
  }
  return printed.text
}

const printed = { second: Number.NaN, text: '' }
