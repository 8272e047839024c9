/** What plugins of a node are asked when their socket appears: k8s.io/kubelet/pkg/apis/pluginregistration/v1, `api.proto`. */
import type { Call } from '#base/grpc/call.ts'
import { bool, message, string, strings, type Message } from '#base/protobuf/message.ts'

const call = <Request, Response, Asked, Answered>(method: string, request: Message<Request, Asked>, response: Message<Response, Answered>): Call<Request, Response, Asked, Answered> => ({ path: `/pluginregistration.Registration/${method}`, request, response })
const empty = message({})

export const REGISTRATION_GET_INFO = call('GetInfo', empty, message({ type: string(1), name: string(2), endpoint: string(3), supportedVersions: strings(4) }))
export const REGISTRATION_NOTIFY = call('NotifyRegistrationStatus', message({ pluginRegistered: bool(1), error: string(2) }), empty)
