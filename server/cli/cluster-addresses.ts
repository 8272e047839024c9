/** The cluster's address ranges and what follows from them. Pure. */
import { UsageError } from '#base/errors.ts'

export interface ClusterAddresses { clusterCidr: string; serviceCidr: string; clusterDns: string; /** The first of the Service CIDR. */ kubernetesServiceIp: string }

/** Of the Service CIDR, as k3s has it. */
const DNS_OFFSET = 10
/** The API Service, DNS and a few to spare. */
const SERVICE_BITS_MAX = 28
/** Each node takes a /24, and a /64 of IPv6. */
const CLUSTER_BITS_MAX = 24
const CLUSTER_BITS_MAX_IPV6 = 64
/** As upstream: neither fewer than eight addresses nor more than 2^20. */
const SERVICE_BITS_IPV6 = { min: 108, max: 125 }

interface Range { first: number; size: number }

/** Throws UsageError naming the flag. The CIDRs are well-formed, the lists with a comma between. */
export function clusterAddresses(given: { clusterCidr: string; serviceCidr: string; clusterDns: string | undefined }): ClusterAddresses {
  const [clusterCidr, clusterCidr6] = families('--cluster-cidr', given.clusterCidr)
  const [serviceCidr, serviceCidr6] = families('--service-cidr', given.serviceCidr)
  if (serviceCidr6 !== undefined && clusterCidr6 === undefined) throw new UsageError(`--service-cidr: ${serviceCidr6} is of no use without an IPv6 network of pods: add one to --cluster-cidr`)
  if (serviceCidr6 !== undefined && (bitsOf(serviceCidr6) < SERVICE_BITS_IPV6.min || bitsOf(serviceCidr6) > SERVICE_BITS_IPV6.max)) throw new UsageError(`--service-cidr: ${serviceCidr6} must be between /${SERVICE_BITS_IPV6.min} and /${SERVICE_BITS_IPV6.max}`)
  if (clusterCidr6 !== undefined && bitsOf(clusterCidr6) > CLUSTER_BITS_MAX_IPV6) throw new UsageError(`--cluster-cidr: ${clusterCidr6} has no room for one node's /64: use /${CLUSTER_BITS_MAX_IPV6} or larger`)
  if (bitsOf(serviceCidr) > SERVICE_BITS_MAX) throw new UsageError(`--service-cidr: ${serviceCidr} has too few addresses: use /${SERVICE_BITS_MAX} or larger`)
  if (bitsOf(clusterCidr) > CLUSTER_BITS_MAX) throw new UsageError(`--cluster-cidr: ${clusterCidr} has no room for one node's /24: use /${CLUSTER_BITS_MAX} or larger`)
  const [pods, services] = [range(clusterCidr), range(serviceCidr)]
  if (pods.first < services.first + services.size && services.first < pods.first + pods.size) throw new UsageError(`--service-cidr: ${serviceCidr} overlaps --cluster-cidr ${clusterCidr}: choose ranges that do not`)
  const clusterDns = given.clusterDns ?? formatIp(services.first + DNS_OFFSET)
  const dns = parseIp(clusterDns)
  if (!(dns > services.first + 1 && dns < services.first + services.size - 1)) throw new UsageError(`--cluster-dns: ${clusterDns} is not an address of --service-cidr ${serviceCidr} that is free, such as ${formatIp(services.first + DNS_OFFSET)}`)
  return { clusterCidr: given.clusterCidr, serviceCidr: given.serviceCidr, clusterDns, kubernetesServiceIp: formatIp(services.first + 1) }
}

/** The IPv4 network, and the IPv6 one where there is one. */
function families(flag: string, list: string): [string, string | undefined] {
  const [first = '', second, third] = list.split(',')
  if (third !== undefined || (second !== undefined && first.includes(':') === second.includes(':'))) throw new UsageError(`${flag}: ${list}: give one network, or one of each family`)
  if (first.includes(':')) throw new UsageError(`${flag}: ${list}: begin with an IPv4 network, which the nodes' network is made of, and put this one behind it`)
  return [first, second]
}

/** The host part of a URL by which this machine reaches what listens there. */
export function reachableAt(bindAddress: string): string {
  if (bindAddress === '0.0.0.0' || bindAddress === '::') return '127.0.0.1'
  return bindAddress.includes(':') ? `[${bindAddress}]` : bindAddress
}

const bitsOf = (cidr: string): number => Number(cidr.split('/')[1])

function range(cidr: string): Range {
  const size = 2 ** (32 - bitsOf(cidr))
  const address = parseIp(cidr.split('/')[0] ?? '')
  return { first: address - (address % size), size }
}

/** NaN, which is in no range, for what is not IPv4. */
const parseIp = (ip: string): number => ip.split('.').reduce((n, part) => n * 256 + Number(part), 0)

const formatIp = (n: number): string => [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join('.')
