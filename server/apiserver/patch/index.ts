/** The four kinds of patch, and the ownership of fields. */
export { applyJsonPatch, JSON_PATCH_OPERATIONS_MAX } from './json-patch.ts'
export { applyMergePatch } from './merge-patch.ts'
export type { Patched, PatchRefusal } from './result.ts'
export { applyStrategicMergePatch, type StrategicOptions } from './strategic-merge-patch.ts'
export { managerName, trackUpdate, type TrackUpdate } from './apply/track-update.ts'
export { apply, extractApplied, type Applied, type ApplyRequest } from './apply/apply.ts'
