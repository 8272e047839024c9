/**
 * Reads and deletes the kernel's connection tracking entries for UDP over IPv4 (ctnetlink, linux/netfilter/nfnetlink_conntrack.h), in the
 * network namespace of this process. By node:ffi: the conntrack tool is rarely installed. Calls return at once.
 */
import { getSystemErrorName } from 'node:util'
import { CodedError } from '#base/errors.ts'
import { align, attribute, readAttributes } from './attributes.ts'
import { openNetlink, type NetlinkSocket } from './socket.ts'

/** One flow as its first packet had it, and as answers come back: `reply.source` is who really serves it. */
export interface UdpFlow {
  original: { source: string; sourcePort: number; destination: string; destinationPort: number }
  reply: { source: string; sourcePort: number }
}

const AF_INET = 2
const NETLINK_NETFILTER = 12
const IPPROTO_UDP = 17
const ENOENT = 2

const NLM_F_REQUEST = 1
const NLM_F_ACK = 4
const NLM_F_DUMP = 0x300
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const CT_GET = 0x101
const CT_DELETE = 0x102

const CTA = { tupleOrig: 1, tupleReply: 2, id: 12, filter: 25, tupleIp: 1, tupleProto: 2, ipSource: 1, ipDestination: 2, protoNumber: 1, portSource: 2, portDestination: 3, filterOrigFlags: 1 } as const
const FILTER_PROTO_NUMBER = 1 << 3
const NESTED = 0x8000
const HEADER_BYTES = 20
/** Parts read before other work gets a turn. */
const PARTS_PER_TURN = 16

/** Deletes the flows that `isStale` names. Returns how many. Throws CONNTRACK_UNAVAILABLE where the kernel cannot, ENOSYS where this node cannot. */
export async function deleteUdpFlows(isStale: (flow: UdpFlow) => boolean): Promise<number> {
  const socket = openNetlink(NETLINK_NETFILTER, (doing, errno) => unavailable({ reach: 'reach', ask: 'ask for', read: 'read' }[doing], errno))
  try {
    const stale: { tuple: Buffer; id: Buffer | undefined }[] = []
    await dump(socket, (attributes) => {
      const tuple = attributes.get(CTA.tupleOrig)
      const flow = readFlow(attributes)
      if (tuple && flow && isStale(flow)) stale.push({ tuple: Buffer.from(tuple), id: attributes.get(CTA.id) && Buffer.from(attributes.get(CTA.id) ?? []) })
    })
    for (const { tuple, id } of stale) {
      socket.send(message(CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, [attribute(CTA.tupleOrig | NESTED, tuple), ...(id ? [attribute(CTA.id, id)] : [])]))
      const code = readError(socket.receive())
      if (code !== 0 && code !== ENOENT) throw unavailable('delete', code)
    }
    return stale.length
  } finally {
    socket.close()
  }
}

async function dump(socket: NetlinkSocket, each: (attributes: Map<number, Buffer>) => void): Promise<void> {
  // Kernels before 5.8 ignore the filter; everything is checked again anyway.
  const udp = attribute(CTA.tupleProto | NESTED, attribute(CTA.protoNumber, Buffer.from([IPPROTO_UDP])))
  const flags = Buffer.alloc(4)
  flags.writeUInt32LE(FILTER_PROTO_NUMBER)
  socket.send(message(CT_GET, NLM_F_REQUEST | NLM_F_DUMP, [attribute(CTA.tupleOrig | NESTED, udp), attribute(CTA.filter | NESTED, attribute(CTA.filterOrigFlags, flags))]))
  for (let parts = 1; ; parts++) {
    const part = socket.receive()
    for (let at = 0; at + 16 <= part.length;) {
      const length = part.readUInt32LE(at)
      const type = part.readUInt16LE(at + 4)
      if (type === NLMSG_DONE || length < 16) return
      if (type === NLMSG_ERROR) throw unavailable('list', -part.readInt32LE(at + 16))
      each(readAttributes(part.subarray(at + HEADER_BYTES, at + length)))
      at += align(length)
    }
    if (part.length === 0) return
    if (parts % PARTS_PER_TURN === 0) await new Promise<void>((resolve) => setImmediate(resolve))
  }
}

function readFlow(attributes: Map<number, Buffer>): UdpFlow | undefined {
  const original = readTuple(attributes.get(CTA.tupleOrig))
  const reply = readTuple(attributes.get(CTA.tupleReply))
  return original && reply && { original, reply }
}

function readTuple(tuple: Buffer | undefined): UdpFlow['original'] | undefined {
  const parts = tuple && readAttributes(tuple)
  const ip = readAttributes(parts?.get(CTA.tupleIp) ?? EMPTY)
  const proto = readAttributes(parts?.get(CTA.tupleProto) ?? EMPTY)
  const [source, destination] = [ip.get(CTA.ipSource), ip.get(CTA.ipDestination)]
  if (source?.length !== 4 || destination?.length !== 4 || proto.get(CTA.protoNumber)?.[0] !== IPPROTO_UDP) return undefined
  const port = (type: number) => {
    const value = proto.get(type)
    return value?.length === 2 ? value.readUInt16BE(0) : 0
  }
  return { source: source.join('.'), sourcePort: port(CTA.portSource), destination: destination.join('.'), destinationPort: port(CTA.portDestination) }
}

const EMPTY = Buffer.alloc(0)

function message(type: number, flags: number, attributes: Buffer[]): Buffer {
  const body = Buffer.concat(attributes)
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32LE(HEADER_BYTES + body.length, 0)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(flags, 6)
  header.writeUInt32LE(1, 8)
  header[16] = AF_INET
  return Buffer.concat([header, body])
}

/** The errno of an acknowledgement; 0 for success. */
function readError(answer: Buffer): number {
  return answer.length >= HEADER_BYTES && answer.readUInt16LE(4) === NLMSG_ERROR ? -answer.readInt32LE(16) : 0
}

function unavailable(doing: string, errno: number): CodedError {
  return new CodedError('CONNTRACK_UNAVAILABLE', `cannot ${doing} tracked UDP flows: ${getSystemErrorName(-errno)}`)
}
