/** Where objects live in the store: `/registry/<group or core>/<resource>/[<namespace>/]<name>`. */

export interface KeyScope { group: string; resource: string; namespaced: boolean }

/** All objects of a resource, or of one namespace of it. */
export function prefixOf(scope: KeyScope, namespace = ''): string {
  const root = `/registry/${scope.group === '' ? 'core' : scope.group}/${scope.resource}/`
  return namespace === '' ? root : `${root}${namespace}/`
}

export function storageKey(scope: KeyScope, namespace: string, name: string): string {
  return prefixOf(scope, scope.namespaced ? namespace : '') + name
}

/** Namespace and name from a key below `prefixOf(scope)`. */
export function splitStorageKey(scope: KeyScope, rootLength: number, key: string): { namespace: string; name: string } {
  if (!scope.namespaced) return { namespace: '', name: key.slice(rootLength) }
  const at = key.indexOf('/', rootLength)
  return { namespace: key.slice(rootLength, at), name: key.slice(at + 1) }
}
