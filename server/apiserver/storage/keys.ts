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

const PREFIXES: Readonly<Record<string, string>> = { '/replicationcontrollers': 'controllers', '/endpoints': 'services/endpoints', '/nodes': 'minions', '/services': 'services/specs', 'networking.k8s.io/ingresses': 'ingress' }
/** Of the servers that upstream's API server is made of, two keep theirs by group. */
const BY_GROUP: ReadonlySet<string> = new Set(['apiextensions.k8s.io', 'apiregistration.k8s.io'])

/** What upstream's complaints call the place of an object. */
export function upstreamKey({ group, resource }: Omit<KeyScope, 'namespaced'>, custom: boolean, namespace: string, name: string): string {
  const prefix = custom || BY_GROUP.has(group) ? `${group}/${resource}` : (PREFIXES[`${group}/${resource}`] ?? resource)
  return `/${[prefix, namespace, name].filter((part) => part !== '').join('/')}`
}
