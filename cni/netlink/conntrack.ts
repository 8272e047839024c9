/**
 * Reads and deletes the kernel's connection tracking entries for UDP over IPv4 (ctnetlink, linux/netfilter/nfnetlink_conntrack.h), in the
 * network namespace of this process. By node:ffi: the conntrack tool is rarely installed. Calls return at once.
 */
import { closeSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { CodedError } from '#base/errors.ts'

/** One flow as its first packet had it, and as answers come back: `reply.source` is who really serves it. */
export interface UdpFlow {
  original: { source: string; sourcePort: number; destination: string; destinationPort: number }
  reply: { source: string; sourcePort: number }
}

const AF_INET = 2
const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const NETLINK_NETFILTER = 12
const MSG_DONTWAIT = 0x40
const IPPROTO_UDP = 17
const EAGAIN = 11
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
/** One dump's part is at most this; the kernel sizes its messages to the buffer. */
const RECEIVE_BYTES = 32 * 1024
/** Parts read before other work gets a turn. */
const PARTS_PER_TURN = 16

/** Deletes the flows that `isStale` names. Returns how many. Throws CONNTRACK_UNAVAILABLE where the kernel or this node cannot. */
export async function deleteUdpFlows(isStale: (flow: UdpFlow) => boolean): Promise<number> {
  const socket = openSocket()
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

function readAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > bytes.length) break
    found.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length))
    at += align(length)
  }
  return found
}

function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(align(4 + value.length))
  bytes.writeUInt16LE(4 + value.length, 0)
  bytes.writeUInt16LE(type, 2)
  value.copy(bytes, 4)
  return bytes
}

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

function align(length: number): number { return (length + 3) & ~3 }

function unavailable(doing: string, errno: number): CodedError {
  return new CodedError('CONNTRACK_UNAVAILABLE', `cannot ${doing} tracked UDP flows: ${getSystemErrorName(-errno)}`)
}

interface NetlinkSocket { send(bytes: Buffer): void; receive(): Buffer; close(): void }

function bind() {
  const ffi = process.getBuiltinModule('node:ffi')
  if (!ffi) throw new CodedError('CONNTRACK_UNAVAILABLE', 'this build of node lacks node:ffi')
  const { functions } = ffi.dlopen(null, {
    __errno_location: { arguments: [], return: 'pointer' },
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    send: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
    recv: { arguments: ['int32', 'buffer', 'uint64', 'int32'], return: 'int64' },
  })
  return { functions, errno: () => ffi.getInt32(functions.__errno_location()) }
}

/** Bound once per process: the C library stays loaded as long as the process lives. */
const loaded: { library?: ReturnType<typeof bind> } = {}

function openSocket(): NetlinkSocket {
  const { functions, errno } = loaded.library ??= bind()
  const fd = functions.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)
  if (fd < 0) throw unavailable('reach', errno())
  const buffer = Buffer.alloc(RECEIVE_BYTES)
  return {
    send(bytes) {
      if (functions.send(fd, bytes, BigInt(bytes.length), MSG_DONTWAIT) < 0n) throw unavailable('ask for', errno())
    },
    receive() {
      // The kernel has written the answer by the time `send` or the last `recv` returned.
      const length = functions.recv(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT)
      const code = length < 0n ? errno() : 0
      if (code !== 0 && code !== EAGAIN) throw unavailable('read', code)
      return buffer.subarray(0, Math.max(0, Number(length)))
    },
    close: () => closeSync(fd),
  }
}
