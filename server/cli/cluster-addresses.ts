/** The cluster's address ranges and what follows from them. Pure. */
import { UsageError } from '#base/errors.ts'

export interface ClusterAddresses { clusterCidr: string; serviceCidr: string; clusterDns: string; /** The first of the Service CIDR. */ kubernetesServiceIp: string }

/** Of the Service CIDR, as k3s has it. */
const DNS_OFFSET = 10
/** The API Service, DNS and a few to spare. */
const SERVICE_BITS_MAX = 28
/** Each node takes a /24. */
const CLUSTER_BITS_MAX = 24

interface Range { first: number; size: number }

/** Throws UsageError naming the flag. The CIDRs are well-formed. */
export function clusterAddresses(given: { clusterCidr: string; serviceCidr: string; clusterDns: string | undefined }): ClusterAddresses {
  const { clusterCidr, serviceCidr } = given
  if (bitsOf(serviceCidr) > SERVICE_BITS_MAX) throw new UsageError(`--service-cidr: ${serviceCidr} has too few addresses: use /${SERVICE_BITS_MAX} or larger`)
  if (bitsOf(clusterCidr) > CLUSTER_BITS_MAX) throw new UsageError(`--cluster-cidr: ${clusterCidr} has no room for one node's /24: use /${CLUSTER_BITS_MAX} or larger`)
  const [pods, services] = [range(clusterCidr), range(serviceCidr)]
  if (pods.first < services.first + services.size && services.first < pods.first + pods.size) throw new UsageError(`--service-cidr: ${serviceCidr} overlaps --cluster-cidr ${clusterCidr}: choose ranges that do not`)
  const clusterDns = given.clusterDns ?? formatIp(services.first + DNS_OFFSET)
  const dns = parseIp(clusterDns)
  if (!(dns > services.first + 1 && dns < services.first + services.size - 1)) throw new UsageError(`--cluster-dns: ${clusterDns} is not an address of --service-cidr ${serviceCidr} that is free, such as ${formatIp(services.first + DNS_OFFSET)}`)
  return { clusterCidr, serviceCidr, clusterDns, kubernetesServiceIp: formatIp(services.first + 1) }
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
