/** What drivers of dynamic resources are asked: k8s.io/kubelet/pkg/apis/dra/{v1,v1beta1} and dra-health/v1alpha1, `api.proto`. */
import type { Call } from '#base/grpc/call.ts'
import { int, list, message, one, string, strings, type Message, type Read } from '#base/protobuf/message.ts'

const call = <Request, Response, Asked, Answered>(service: string, method: string, request: Message<Request, Asked>, response: Message<Response, Answered>): Call<Request, Response, Asked, Answered> => ({ path: `/${service}/${method}`, request, response })

const claims = message({ claims: list(1, message({ namespace: string(1), uid: string(2), name: string(3) })) })
/** `shareId`: in v1 alone, and only of a share of a device; '': none. */
const device = message({ requestNames: strings(1), poolName: string(2), deviceName: string(3), cdiDeviceIds: strings(4), shareId: string(5) })
// Maps by the uid of the claim: on the wire a map is a list of keys and values.
const prepared = message({ claims: list(1, message({ key: string(1), value: one(2, message({ devices: list(1, device), error: string(2) })) })) })
const unprepared = message({ claims: list(1, message({ key: string(1), value: one(2, message({ error: string(1) })) })) })

export type PreparedDevice = Read<typeof device>

const callsOf = (version: string) => {
  const service = `k8s.io.kubelet.pkg.apis.dra.${version}.DRAPlugin`
  return { prepare: call(service, 'NodePrepareResources', claims, prepared), unprepare: call(service, 'NodeUnprepareResources', claims, unprepared) }
}

/** As plugins name them when they register; the latest first. */
export const SERVICES = { 'v1.DRAPlugin': callsOf('v1'), 'v1beta1.DRAPlugin': callsOf('v1beta1') } as const
export type Service = keyof typeof SERVICES

const deviceHealth = message({ device: one(1, message({ poolName: string(1), deviceName: string(2) })), health: int(2), lastUpdatedTime: int(3), healthCheckTimeoutSeconds: int(4), message: string(5) })
export type ReportedHealth = Read<typeof deviceHealth>

/** Of a device's health, by its number on the wire. */
export const HEALTHS = ['Unknown', 'Healthy', 'Unhealthy'] as const

/** A stream: each answer is all devices that its driver watches. */
export const WATCH_RESOURCES = call('v1alpha1.DRAResourceHealth', 'NodeWatchResources', message({}), message({ devices: list(1, deviceHealth) }))
