/** What monitors of devices ask the kubelet: k8s.io/kubelet/pkg/apis/podresources, `v1` and `v1alpha1`. CPUs and memory are given to nobody alone here: those lists stay empty. */
import type { Call } from '#base/grpc/call.ts'
import { int, ints, list, message, one, string, strings, type Message, type Written } from '#base/protobuf/message.ts'

const empty = message({})
const call = <Request, Response, Asked, Answered>(version: string, method: string, request: Message<Request, Asked>, response: Message<Response, Answered>): Call<Request, Response, Asked, Answered> => ({ path: `/${version}.PodResourcesLister/${method}`, request, response })

const topology = message({ nodes: list(1, message({ id: int(1) })) })
const containerDevices = message({ resourceName: string(1), deviceIds: strings(2), topology: one(3, topology) })
const containerMemory = message({ memoryType: string(1), size: int(2), topology: one(3, topology) })
const claimResource = message({ cdiDevices: list(1, message({ name: string(1) })), driverName: string(2), poolName: string(3), deviceName: string(4), shareId: string(5) })
const dynamicResource = message({ claimName: string(2), claimNamespace: string(3), claimResources: list(4, claimResource) })
const containerResources = message({ name: string(1), devices: list(2, containerDevices), cpuIds: ints(3), memory: list(4, containerMemory), dynamicResources: list(5, dynamicResource) })
const podResources = message({ name: string(1), namespace: string(2), containers: list(3, containerResources) })
const podResourcesAlpha = message({ name: string(1), namespace: string(2), containers: list(3, message({ name: string(1), devices: list(2, message({ resourceName: string(1), deviceIds: strings(2) })) })) })

export type ContainerDevices = Written<typeof containerDevices>
export type PodResources = Written<typeof podResources>

export const LIST = call('v1', 'List', empty, message({ podResources: list(1, podResources) }))
export const ALLOCATABLE = call('v1', 'GetAllocatableResources', empty, message({ devices: list(1, containerDevices), cpuIds: ints(2), memory: list(3, containerMemory) }))
export const GET = call('v1', 'Get', message({ podName: string(1), podNamespace: string(2) }), message({ podResources: one(1, podResources) }))
export const LIST_ALPHA = call('v1alpha1', 'List', empty, message({ podResources: list(1, podResourcesAlpha) }))
