/**
 * Changes to devices, addresses and routes (rtnetlink, linux/rtnetlink.h and linux/if_link.h) by node:ffi, for what is done for every pod: a
 * program for each would cost a fork of this whole process. Calls return at once.
 */
import { getSystemErrorName } from 'node:util'
import { CodedError } from '#base/errors.ts'
import { attribute, readAttributes } from './attributes.ts'
import { openNetlink } from './socket.ts'

const AF_INET = 2
const AF_INET6 = 10
const NETLINK_ROUTE = 0

const NLM_F = { request: 1, ack: 4, replace: 0x100, exclusive: 0x200, create: 0x400 } as const
const NLMSG_ERROR = 2
const HEADER_BYTES = 16
const RTM = { newLink: 16, getLink: 18, newAddress: 20, newRoute: 24 } as const
const IFLA = { name: 3, mtu: 4, link: 5, master: 10, linkInfo: 18, alias: 20, afSpec: 26, netNsFd: 28, extMask: 29, infoKind: 1, infoData: 2, infoSlaveKind: 4, infoSlaveData: 5, vethPeer: 1, brPortMode: 4, inet6AddrGenMode: 8 } as const
const ADDR_GEN_MODE_NONE = 1
const IFA = { address: 1, local: 2 } as const
const RTA = { destination: 1, outDevice: 4, gateway: 5 } as const
const IFF_UP = 1
const RT_TABLE_MAIN = 254
const RTPROT_BOOT = 3
const RT_SCOPE = { universe: 0, link: 253 } as const
const RTN_UNICAST = 1

export interface LinkFacts { index: number; isUp: boolean; master: number; /** The other end of a pair: its index, in its own namespace. */ peer: number }

/** One change or question each. They fail with the errno's name as code. */
export interface RtNetlink {
  /** Undefined: there is none of that name. */
  link(name: string): LinkFacts | undefined
  /** The pair is born with its peer in the namespace of that descriptor. EEXIST: one of the names is taken there. */
  addVeth(pair: { name: string; peer: string; peerNetnsFd: number; mtu: number }): void
  setAlias(name: string, alias: string): void
  /** IPv6 makes no addresses on it by itself. Nothing where the kernel has no IPv6. */
  keepFromIpv6(name: string): void
  /** `master`: index of a bridge. */
  setUp(name: string, master?: number): void
  /** What came from this port of a bridge may go back there. */
  setHairpin(name: string): void
  replaceAddress(index: number, address: string): void
  /** To all, when `to` is undefined. */
  replaceRoute(route: { to: string | undefined; via: string | undefined; index: number }): void
  close(): void
}

/** In the network namespace that this thread is in now; it stays there. */
export function openRtNetlink(beforeEach: () => void = () => {}): RtNetlink {
  const socket = openNetlink(NETLINK_ROUTE, (doing, errno) => failure({ reach: 'reach rtnetlink', ask: 'ask rtnetlink', read: 'read from rtnetlink' }[doing], errno))
  let sequence = 0
  const ask = (type: number, flags: number, body: Buffer, what: string): Buffer => {
    beforeEach()
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32LE(HEADER_BYTES + body.length, 0)
    header.writeUInt16LE(type, 4)
    header.writeUInt16LE(NLM_F.request | flags, 6)
    header.writeUInt32LE(++sequence, 8)
    socket.send(Buffer.concat([header, body]))
    const answer = socket.receive()
    if (answer.length < HEADER_BYTES + 4) throw new CodedError('EIO', `${what}: the kernel gave no answer`)
    const errno = answer.readUInt16LE(4) === NLMSG_ERROR ? -answer.readInt32LE(HEADER_BYTES) : 0
    if (errno !== 0) throw failure(what, errno)
    return answer
  }
  const setLink = (name: string, attributes: Buffer[], what: string, up = false) => ask(RTM.newLink, NLM_F.ack, Buffer.concat([interfaceInfo(up), text(IFLA.name, name), ...attributes]), `${what} ${name}`)
  return {
    link(name) {
      try {
        // Nothing but the device itself.
        const answer = ask(RTM.getLink, 0, Buffer.concat([interfaceInfo(false), text(IFLA.name, name), uint32(IFLA.extMask, 0)]), `look for ${name}`)
        const info = answer.subarray(HEADER_BYTES, answer.readUInt32LE(0))
        const attributes = readAttributes(info.subarray(16))
        return { index: info.readInt32LE(4), isUp: (info.readUInt32LE(8) & IFF_UP) !== 0, master: attributes.get(IFLA.master)?.readUInt32LE() ?? 0, peer: attributes.get(IFLA.link)?.readUInt32LE() ?? 0 }
      } catch (error) {
        if (error instanceof CodedError && error.code === 'ENODEV') return undefined
        throw error
      }
    },
    addVeth({ name, peer, peerNetnsFd, mtu }) {
      const other = Buffer.concat([interfaceInfo(false), text(IFLA.name, peer), uint32(IFLA.mtu, mtu), uint32(IFLA.netNsFd, peerNetnsFd)])
      const info = attribute(IFLA.linkInfo, Buffer.concat([text(IFLA.infoKind, 'veth'), attribute(IFLA.infoData, attribute(IFLA.vethPeer, other))]))
      ask(RTM.newLink, NLM_F.ack | NLM_F.create | NLM_F.exclusive, Buffer.concat([interfaceInfo(false), text(IFLA.name, name), uint32(IFLA.mtu, mtu), info]), `add ${name}`)
    },
    setAlias: (name, alias) => { setLink(name, [attribute(IFLA.alias, Buffer.from(alias))], 'name the owner of') },
    keepFromIpv6(name) {
      try {
        setLink(name, [attribute(IFLA.afSpec, attribute(AF_INET6, attribute(IFLA.inet6AddrGenMode, Buffer.from([ADDR_GEN_MODE_NONE]))))], 'keep from IPv6')
      } catch (error) {
        if (!(error instanceof CodedError && error.code === 'EAFNOSUPPORT')) throw error
      }
    },
    setUp: (name, master) => { setLink(name, master === undefined ? [] : [uint32(IFLA.master, master)], 'set up', true) },
    setHairpin: (name) => { setLink(name, [attribute(IFLA.linkInfo, Buffer.concat([text(IFLA.infoSlaveKind, 'bridge'), attribute(IFLA.infoSlaveData, attribute(IFLA.brPortMode, Buffer.from([1])))]))], 'set hairpin of') },
    replaceAddress(index, address) {
      const info = Buffer.alloc(8)
      info[0] = AF_INET
      info[1] = 32
      info.writeUInt32LE(index, 4)
      ask(RTM.newAddress, NLM_F.ack | NLM_F.create | NLM_F.replace, Buffer.concat([info, attribute(IFA.local, ipv4(address)), attribute(IFA.address, ipv4(address))]), `give ${address}`)
    },
    replaceRoute({ to, via, index }) {
      const info = Buffer.from([AF_INET, to === undefined ? 0 : 32, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, via === undefined ? RT_SCOPE.link : RT_SCOPE.universe, RTN_UNICAST, 0, 0, 0, 0])
      const attributes = [...(to === undefined ? [] : [attribute(RTA.destination, ipv4(to))]), ...(via === undefined ? [] : [attribute(RTA.gateway, ipv4(via))]), uint32(RTA.outDevice, index)]
      ask(RTM.newRoute, NLM_F.ack | NLM_F.create | NLM_F.replace, Buffer.concat([info, ...attributes]), `route to ${to ?? 'all'}`)
    },
    close: () => socket.close(),
  }
}

/** struct ifinfomsg. */
function interfaceInfo(up: boolean): Buffer {
  const info = Buffer.alloc(16)
  if (up) {
    info.writeUInt32LE(IFF_UP, 8)
    info.writeUInt32LE(IFF_UP, 12)
  }
  return info
}

const text = (type: number, value: string): Buffer => attribute(type, Buffer.from(`${value}\0`))

function uint32(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return attribute(type, bytes)
}

const ipv4 = (address: string): Buffer => Buffer.from(address.split('.').map(Number))

function failure(what: string, errno: number): CodedError {
  const code = getSystemErrorName(-errno)
  return new CodedError(code, `cannot ${what}: ${code}`)
}
