/** What device plugins say and are asked: k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1, `api.proto`. */
import type { Call } from '#base/grpc/call.ts'
import { bool, int, list, map, message, one, string, strings, type Message, type Read } from '#base/protobuf/message.ts'

export const VERSION = 'v1beta1'
export const HEALTHY = 'Healthy'

const empty = message({})
const call = <Request, Response, Asked, Answered>(service: string, method: string, request: Message<Request, Asked>, response: Message<Response, Answered>): Call<Request, Response, Asked, Answered> => ({ path: `/${VERSION}.${service}/${method}`, request, response })

const options = message({ preStartRequired: bool(1), getPreferredAllocationAvailable: bool(2) })
const containerGrant = message({
  envs: map(1), mounts: list(2, message({ containerPath: string(1), hostPath: string(2), readOnly: bool(3) })), devices: list(3, message({ containerPath: string(1), hostPath: string(2), permissions: string(3) })), annotations: map(4),
  cdiDevices: list(5, message({ name: string(1) })),
})
export type ContainerGrant = Read<typeof containerGrant>

/** Served by the kubelet. `endpoint`: the plugin's socket, beside the kubelet's. */
export const REGISTER = call('Registration', 'Register', message({ version: string(1), endpoint: string(2), resourceName: string(3), options: one(4, options) }), empty)

export const OPTIONS = call('DevicePlugin', 'GetDevicePluginOptions', empty, options)
/** A stream: each answer is all devices. */
export const LIST_AND_WATCH = call('DevicePlugin', 'ListAndWatch', empty, message({ devices: list(1, message({ id: string(1), health: string(2), topology: one(3, message({ nodes: list(1, message({ id: int(1) })) })) })) }))
export const PREFERRED = call('DevicePlugin', 'GetPreferredAllocation',
  message({ containerRequests: list(1, message({ availableDeviceIds: strings(1), mustIncludeDeviceIds: strings(2), allocationSize: int(3) })) }), message({ containerResponses: list(1, message({ deviceIds: strings(1) })) }))
export const ALLOCATE = call('DevicePlugin', 'Allocate', message({ containerRequests: list(1, message({ devicesIds: strings(1) })) }), message({ containerResponses: list(1, containerGrant) }))
export const PRE_START = call('DevicePlugin', 'PreStartContainer', message({ devicesIds: strings(1) }), empty)
