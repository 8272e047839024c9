/**
 * What is said to CSI drivers and what they say to register: the parts of csi.proto (CSI 1.x) and of pluginregistration
 * v1 that a node needs.
 */
import type { Call } from '#base/grpc/call.ts'
import { bool, int, list, map, message, one, string, strings, type Message, type Read, type Written } from '#base/protobuf/message.ts'

const empty = message({})
const call = <Request, Response, Asked, Answered>(service: string, method: string, request: Message<Request, Asked>, response: Message<Response, Answered>): Call<Request, Response, Asked, Answered> => ({ path: `/${service}/${method}`, request, response })

const mountCapability = message({ fsType: string(1), mountFlags: strings(2), volumeMountGroup: string(3) })
const capability = message({ block: one(1, empty), mount: one(2, mountCapability), accessMode: one(3, message({ mode: int(1) })) })
const topology = message({ segments: map(1) })

export type VolumeCapability = Written<typeof capability>
export type NodeInfo = Read<typeof nodeInfo>

const nodeInfo = message({ nodeId: string(1), maxVolumesPerNode: int(2), accessibleTopology: one(3, topology) })
const NODE = 'csi.v1.Node'

export const NODE_GET_INFO = call(NODE, 'NodeGetInfo', empty, nodeInfo)
export const NODE_GET_CAPABILITIES = call(NODE, 'NodeGetCapabilities', empty, message({ capabilities: list(1, message({ rpc: one(1, message({ type: int(1) })) })) }))
export const NODE_STAGE = call(NODE, 'NodeStageVolume', message({ volumeId: string(1), publishContext: map(2), stagingTargetPath: string(3), volumeCapability: one(4, capability), secrets: map(5), volumeContext: map(6) }), empty)
export const NODE_UNSTAGE = call(NODE, 'NodeUnstageVolume', message({ volumeId: string(1), stagingTargetPath: string(2) }), empty)
export const NODE_PUBLISH = call(NODE, 'NodePublishVolume', message({
  volumeId: string(1), publishContext: map(2), stagingTargetPath: string(3), targetPath: string(4), volumeCapability: one(5, capability), readonly: bool(6), secrets: map(7), volumeContext: map(8),
}), empty)
export const NODE_UNPUBLISH = call(NODE, 'NodeUnpublishVolume', message({ volumeId: string(1), targetPath: string(2) }), empty)

export const NODE_EXPAND = call(NODE, 'NodeExpandVolume', message({
  volumeId: string(1), volumePath: string(2), capacityRange: one(3, message({ requiredBytes: int(1), limitBytes: int(2) })), stagingTargetPath: string(4), volumeCapability: one(5, capability), secrets: map(6),
}), message({ capacityBytes: int(1) }))

const volumeUsage = message({ usage: list(1, message({ available: int(1), total: int(2), used: int(3), unit: int(4) })), volumeCondition: one(2, message({ abnormal: bool(1), message: string(2) })) })
export type VolumeUsage = Read<typeof volumeUsage>
export const NODE_STATS = call(NODE, 'NodeGetVolumeStats', message({ volumeId: string(1), volumePath: string(2), stagingTargetPath: string(3) }), volumeUsage)
/** VolumeUsage.Unit */
export const UNIT = { bytes: 1, inodes: 2 } as const

/** NodeServiceCapability.RPC.Type */
export const CAPABILITY = { stageUnstage: 1, getStats: 2, expand: 3, condition: 4, singleNodeMultiWriter: 5, volumeMountGroup: 6 } as const
