/** Which subresource is served by what. `status` and `scale` are generic; the others are named by resource. */
import type { ApiResponse } from '#api/client/transport.ts'
import { methodNotAllowed, noSuchResource } from '../http/status.ts'
import { podLog } from '../nodes/pod-log.ts'
import { proxy } from '../nodes/proxy.ts'
import { refuseUnlessUpgraded, UPGRADES } from '../nodes/upgrade.ts'
import type { KubeletClient } from '../nodes/kubelet-client.ts'
import type { Call, Verb } from '../verbs/call.ts'
import { binding } from './binding.ts'
import { eviction } from './eviction.ts'
import { finalizeNamespace } from './namespace-finalize.ts'
import { ephemeralContainers, resize } from './pod-parts.ts'
import { scale } from './scale.ts'
import { status } from './status.ts'
import { token, type IssueToken } from './token.ts'
import { approval } from './approval.ts'

export interface SubresourceParts { kubelet: KubeletClient; issueToken: IssueToken | undefined }

const PROXY_VERBS = ['get', 'create', 'update', 'patch', 'delete', '']

export type Subresources = (call: Call) => Promise<ApiResponse>

export function createSubresources({ kubelet, issueToken }: SubresourceParts): Subresources {
  const handlers: Readonly<Record<string, { verbs: readonly string[]; run: Verb }>> = {
    'pods/binding': { verbs: ['create'], run: binding },
    'pods/eviction': { verbs: ['create'], run: eviction },
    'pods/ephemeralcontainers': { verbs: ['get', 'update', 'patch'], run: ephemeralContainers },
    'pods/resize': { verbs: ['get', 'update', 'patch'], run: resize },
    'pods/log': { verbs: ['get'], run: (call) => podLog(call, kubelet) },
    ...Object.fromEntries([...UPGRADES].map((what) => [`pods/${what}`, { verbs: ['get', 'create'], run: refuseUnlessUpgraded }])),
    ...Object.fromEntries(['pods', 'services', 'nodes'].map((resource) => [`${resource}/proxy`, { verbs: PROXY_VERBS, run: (call: Call) => proxy(call, kubelet) }])),
    'namespaces/finalize': { verbs: ['update'], run: finalizeNamespace },
    'certificatesigningrequests/approval': { verbs: ['get', 'update', 'patch'], run: approval },
    ...(issueToken && { 'serviceaccounts/token': { verbs: ['create'], run: (call: Call) => token(call, issueToken) } }),
  }
  return async (call) => {
    const { row, info } = call
    if (!row.subresources.includes(info.subresource)) throw noSuchResource()
    if (info.subresource === 'status') return status(call)
    if (info.subresource === 'scale') return scale(call)
    const handler = handlers[`${row.ref.resource}/${info.subresource}`]
    if (!handler) throw noSuchResource()
    if (!handler.verbs.includes(call.verb)) throw methodNotAllowed()
    return handler.run(call)
  }
}
