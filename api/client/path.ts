/** How a resource is addressed in the API's URLs. */
import { apiVersionOf, type ResourceRef } from '../types/index.ts'

export interface ResourcePath { namespace?: string | undefined; name?: string | undefined; subresource?: string | undefined }

/** `/api/v1/namespaces/x/pods/y/status`, `/apis/apps/v1/deployments`. */
export function resourcePath(ref: ResourceRef, at: ResourcePath = {}): string {
  const root = `${ref.group === '' ? '/api' : '/apis'}/${apiVersionOf(ref)}`
  const namespace = ref.namespaced && at.namespace ? `/namespaces/${encodeURIComponent(at.namespace)}` : ''
  const name = at.name !== undefined ? `/${encodeURIComponent(at.name)}` : ''
  return `${root}${namespace}/${ref.resource}${name}${at.subresource ? `/${at.subresource}` : ''}`
}

/** `?a=1&b=2`, or '' when nothing is set. Undefined, '' and false are left out. */
export function queryString(params: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const query = Object.entries(params)
    .filter(([, v]) => v !== undefined && v !== '' && v !== false)
    .map(([k, v]) => `${k}=${encodeURIComponent(String(v))}`)
    .join('&')
  return query === '' ? '' : `?${query}`
}
