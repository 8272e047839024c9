/** What a request of the kubelet API is, for authorization: upstream's rules with fine-grained access (KEP-2862). Pure. */

export interface KubeletAttributes { verb: string; /** Of `nodes`; any one of them that is allowed will do, in this order. */ subresources: string[] }

const VERBS: Readonly<Record<string, string>> = { POST: 'create', GET: 'get', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }
/** By first path segment. */
const BY_SEGMENT: Readonly<Record<string, readonly string[]>> = {
  stats: ['stats'], metrics: ['metrics'], logs: ['log'], checkpoint: ['checkpoint'], statusz: ['statusz'], flagz: ['configz'],
  configz: ['configz', 'proxy'], healthz: ['healthz', 'proxy'], pods: ['pods', 'proxy'], runningpods: ['pods', 'proxy'],
}

export function kubeletAttributes(method: string, path: string): KubeletAttributes {
  const [, first = ''] = path.split('/')
  return { verb: VERBS[method] ?? '', subresources: [...(Object.hasOwn(BY_SEGMENT, first) ? BY_SEGMENT[first] ?? [] : ['proxy'])] }
}
