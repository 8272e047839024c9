/** What a request asks for, in the words of authorization, of audit and of metrics. Pure. */
import type { ApiRequest } from '#api/client/transport.ts'
import { splitTarget, type Query } from './http/query.ts'
import type { PathInfo, ResourceInfo } from './http/request-info.ts'
import type { ProxiedOnly, VerbName } from './verbs/call.ts'

/** What upstream lets run long, besides watches: no limit of time, no seat. */
export const LONG_RUNNING: ReadonlySet<string> = new Set(['log', 'proxy', 'exec', 'attach', 'portforward'])

/** As it is classified and authorized, whether there is such a thing or not: `''` for methods that are no verb. */
export function verbOf(method: string, info: ResourceInfo, watches: boolean): VerbName | ProxiedOnly {
  const isOne = info.name !== ''
  switch (method) {
    case 'GET': case 'HEAD':
      if (info.watchPath) return 'watch'
      return isOne ? 'get' : watches ? 'watch' : 'list'
    case 'POST': return 'create'
    case 'PUT': return 'update'
    case 'PATCH': return 'patch'
    case 'DELETE': return isOne ? 'delete' : 'deletecollection'
    default: return ''
  }
}

/** What is one object is not created, what are many are not replaced. */
export function fitsMethod(verb: VerbName | ProxiedOnly, { name, subresource }: ResourceInfo): boolean {
  if (verb === '') return subresource === 'proxy'
  return verb === 'create' ? name === '' || subresource !== '' : (verb !== 'update' && verb !== 'patch') || name !== ''
}

/** Everything that is not bounded by --request-timeout. */
export function isLongRunning(info: ResourceInfo | PathInfo, query: Query): boolean {
  if (info.kind === 'path') return info.path.startsWith('/debug/pprof/')
  return (info.watchPath || query.flag('watch') || LONG_RUNNING.has(info.subresource))
}

/** Upstream's names of verbs in metrics. */
export function reportedVerb({ method, headers }: Pick<ApiRequest, 'method' | 'headers'>, info: ResourceInfo, query: Query): string {
  if (info.watchPath || query.flag('watch')) return 'WATCH'
  if (method === 'GET' && info.name === '') return 'LIST'
  if (method === 'DELETE' && info.name === '') return 'DELETECOLLECTION'
  return method === 'PATCH' && (headers['content-type'] ?? '').startsWith('application/apply-patch') ? 'APPLY' : method
}

/** As authorized: of resources, `''` where that is nothing that could be. */
export function auditVerb({ method, path }: Pick<ApiRequest, 'method' | 'path'>, info: ResourceInfo | PathInfo): string {
  return info.kind === 'path' ? method.toLowerCase() : verbOf(method, info, splitTarget(path).query.flag('watch'))
}
