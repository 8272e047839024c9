/** Paths that must stay inside what they are relative to (upstream `validatePathNoBacksteps` and those built on it). */
import { type FieldError, invalid } from '../field-error.ts'

export const hasBacksteps = (path: string): boolean => path.split('/').includes('..')

/** No `..` anywhere; said once. */
export function noBacksteps(at: string, path: string): FieldError[] {
  return hasBacksteps(path) ? [invalid(at, path, "must not contain '..'")] : []
}

/** Relative, without `..`. */
export function descendingPath(at: string, path: string): FieldError[] {
  return [...(path.startsWith('/') ? [invalid(at, path, 'must be a relative path')] : []), ...noBacksteps(at, path)]
}

/** Besides, `..data` and its kind are the kubelet's own. */
export function localFilePath(at: string, path: string): FieldError[] {
  const reserved = path.startsWith('..') && !path.startsWith('../')
  return [...descendingPath(at, path), ...(reserved ? [invalid(at, path, "must not start with '..'")] : [])]
}
