/** `/proxy` of pods, services and nodes: the request goes on to what is behind, the answer comes back as it is. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { Call } from '../verbs/call.ts'
import { admitProxy } from './connect-options.ts'
import type { KubeletClient } from './kubelet-client.ts'
import { proxyTarget } from './proxy-target.ts'
import { relayHeaders, relayResponse } from './relay.ts'

export async function proxy(call: Call, kubelet: KubeletClient): Promise<ApiResponse> {
  const options = await admitProxy(call)
  const target = await proxyTarget(call)
  const answer = await kubelet.request({
    node: target.node, ...(target.authority !== undefined && { authority: target.authority }), tls: target.tls,
    method: call.method, path: `${options.path || '/'}${call.rawQuery}`, headers: relayHeaders(call.headers), body: call.body, signal: call.signal,
  })
  return relayResponse(answer, call.signal)
}
