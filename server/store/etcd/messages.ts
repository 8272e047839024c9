/** What skiff says to etcd v3: messages and calls of `etcdserverpb` (rpc.proto) and `mvccpb` (kv.proto), as far as they are used. */
import type { Call } from '#base/grpc/call.ts'
import { bool, bytes, int, list, message, one, string, type Message, type Read } from '#base/protobuf/message.ts'

const ResponseHeader = message({ revision: int(3) })
export const EtcdKeyValue = message({ key: bytes(1), createRevision: int(2), modRevision: int(3), version: int(4), value: bytes(5) })
export type EtcdKeyValue = Read<typeof EtcdKeyValue>

const RangeRequest = message({ key: bytes(1), rangeEnd: bytes(2), limit: int(3), revision: int(4), keysOnly: bool(8), countOnly: bool(9) })
const RangeResponse = message({ header: one(1, ResponseHeader), kvs: list(2, EtcdKeyValue), more: bool(3), count: int(4) })
const PutRequest = message({ key: bytes(1), value: bytes(2) })
const DeleteRangeRequest = message({ key: bytes(1), rangeEnd: bytes(2) })
const RequestOp = message({ range: one(1, RangeRequest), put: one(2, PutRequest), deleteRange: one(3, DeleteRangeRequest) })
const ResponseOp = message({ range: one(1, RangeResponse), put: one(2, message({})), deleteRange: one(3, message({ deleted: int(2) })) })
/** A modRevision of 0 is not written, which etcd reads as 0. */
const Compare = message({ result: int(1), target: int(2), key: bytes(3), modRevision: int(6) })
/** Compare.CompareTarget */
export const TARGET_MOD = 2

const WatchCreateRequest = message({ key: bytes(1), rangeEnd: bytes(2), startRevision: int(3), progressNotify: bool(4), prevKv: bool(6), fragment: bool(8) })
const WatchRequest = message({ create: one(1, WatchCreateRequest), progress: one(3, message({})) })
const EtcdEvent = message({ type: int(1), kv: one(2, EtcdKeyValue), prevKv: one(3, EtcdKeyValue) })
export type EtcdEvent = Read<typeof EtcdEvent>
/** Event.EventType */
export const EVENT_DELETE = 1
const WatchResponse = message({ header: one(1, ResponseHeader), watchId: int(2), created: bool(3), canceled: bool(4), compactRevision: int(5), cancelReason: string(6), fragment: bool(7), events: list(11, EtcdEvent) })
export type WatchResponse = Read<typeof WatchResponse>

const call = <A, B, C, D>(path: string, request: Message<A, B>, response: Message<C, D>): Call<A, C, B, D> => ({ path: `/etcdserverpb.${path}`, request, response })

export const ETCD = {
  range: call('KV/Range', RangeRequest, RangeResponse),
  txn: call('KV/Txn', message({ compare: list(1, Compare), success: list(2, RequestOp), failure: list(3, RequestOp) }), message({ header: one(1, ResponseHeader), succeeded: bool(2), responses: list(3, ResponseOp) })),
  compact: call('KV/Compact', message({ revision: int(1) }), message({ header: one(1, ResponseHeader) })),
  watch: call('Watch/Watch', WatchRequest, WatchResponse),
  status: call('Maintenance/Status', message({}), message({ header: one(1, ResponseHeader), version: string(2) })),
} as const
