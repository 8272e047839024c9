/** `pods/log`: upstream's options, checked, then the kubelet's /containerLogs streamed through. */
import type { ApiResponse } from '#api/client/transport.ts'
import { collect } from '#api/client/body.ts'
import type { Pod } from '#api/types/index.ts'
import { invalid as invalidField, forbidden as forbiddenField, notSupported, type FieldError } from '../field-error.ts'
import { badRequest, invalid, StatusError } from '../http/status.ts'
import { readHeld, type Full } from '../verbs/stored.ts'
import type { Call } from '../verbs/call.ts'
import type { KubeletClient } from './kubelet-client.ts'
import { relayResponse } from './relay.ts'
import { containerOf } from './pod-container.ts'

const FLAGS = ['follow', 'previous', 'timestamps'] as const
const STREAMS = ['All', 'Stderr', 'Stdout']
const KUBELET_ERROR_BYTES_MAX = 64 * 1024

export async function podLog(call: Call, kubelet: KubeletClient): Promise<ApiResponse> {
  const { query, info } = call
  // Options first, as upstream: what is wrong with them is told of a pod that is not there, too.
  const options = parseLogOptions(call)
  const pod = (await readHeld(call)).object as Full & Pod
  const container = containerOf(pod, query.text('container'), 'log')
  const node = pod.spec?.nodeName
  // Not scheduled yet: there is nothing to show.
  if (!node) return { status: 204, headers: {}, body: Buffer.alloc(0) }
  const path = `/containerLogs/${info.namespace}/${info.name}/${container}${options.size > 0 ? `?${options.toString()}` : ''}`
  const answer = await kubelet.request({ node, method: 'GET', path, headers: { accept: '*/*' }, signal: call.signal })
  const response = relayResponse(answer, call.signal)
  if (response.status === 200) return { ...response, headers: { 'content-type': 'text/plain' } }
  throw kubeletRefusal(response.status, (await collect(response.body, KUBELET_ERROR_BYTES_MAX)).toString())
}

/** The kubelet's words as a Status, the way client-go turns them. */
function kubeletRefusal(code: number, text: string): StatusError {
  const message = text.trim()
  if (code === 400) return badRequest(message)
  if (code === 404) return new StatusError({ code: 404, reason: 'NotFound', message: `the server could not find the requested resource${message === '' ? '' : `: ${message}`}` })
  return new StatusError({ code: 500, reason: 'InternalError', message: `an error on the server (${JSON.stringify(message)}) has prevented the request from succeeding` })
}

function parseLogOptions(call: Call): URLSearchParams {
  const { query } = call
  const errors: FieldError[] = []
  const out = new URLSearchParams()
  for (const flag of FLAGS) if (query.flag(flag)) out.set(flag, 'true')
  const tail = query.integer('tailLines')
  const limit = query.integer('limitBytes')
  const since = query.integer('sinceSeconds')
  const sinceTime = query.text('sinceTime')
  const stream = query.text('stream')
  if (tail !== undefined && tail < 0) errors.push(invalidField('tailLines', tail, 'must be greater than or equal to 0'))
  if (limit !== undefined && limit < 1) errors.push(invalidField('limitBytes', limit, 'must be greater than 0'))
  if (since !== undefined && since < 1) errors.push(invalidField('sinceSeconds', since, 'must be greater than 0'))
  if (since !== undefined && sinceTime !== '') errors.push(forbiddenField('[]', 'at most one of `sinceTime` or `sinceSeconds` may be specified'))
  if (sinceTime !== '' && Number.isNaN(Date.parse(sinceTime))) throw badRequest(`parsing time ${JSON.stringify(sinceTime)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(sinceTime)} as "2006"`)
  if (stream !== '' && !STREAMS.includes(stream)) errors.push(notSupported('stream', stream, STREAMS))
  if (stream !== '' && stream !== 'All' && tail !== undefined) errors.push(forbiddenField('[]', '`tailLines` and specific `stream` are mutually exclusive for now'))
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, call.info.name, errors)
  for (const [name, value] of [['tailLines', tail], ['limitBytes', limit], ['sinceSeconds', since]] as const) if (value !== undefined) out.set(name, String(value))
  if (sinceTime !== '') out.set('sinceTime', sinceTime)
  if (stream !== '') out.set('stream', stream)
  return out
}
