/**
 * The pod network as a CNI plugin (containernetworking/cni, SPEC 1.0.0), for runtimes that make the network namespace
 * themselves: a short-lived program that passes the runtime's question to the agent's socket and its answer back.
 */
import type { PodPort } from '../network.ts'

/** One question per connection: a line of JSON, answered by a line of JSON. */
export interface CniQuestion {
  command: string
  containerId: string
  /** Empty when the namespace is already gone. */
  netns: string
  ifname: string
  /** CNI_ARGS: `K8S_POD_NAME=a;K8S_POD_UID=...`. */
  args: string
  cniVersion: string
  portMappings: PodPort[]
}

export type CniAnswer = { ok: true; result: object | undefined } | { ok: false; error: CniError }
export interface CniError { cniVersion: string; code: number; msg: string; details?: string }

/** Versions of the specification whose results we write. */
export const CNI_VERSIONS = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const
export const CNI_VERSION = '0.4.0'
/** CNI's codes: 4 invalid environment, 5 I/O, 6 cannot decode, 11 try again later, 1 incompatible version, 50 cannot serve ADD now. */
export const CNI_CODE = { incompatible: 1, environment: 4, io: 5, decode: 6, tryAgain: 11, notAvailable: 50 } as const

/** What stands on the plugin's standard input, as far as we read it. */
interface NetworkConfiguration { cniVersion?: unknown; socket?: unknown; runtimeConfig?: { portMappings?: unknown } }

/** Throws what is malformed as a CniError. */
export function parseQuestion(environment: Readonly<Record<string, string | undefined>>, stdin: string): { question: CniQuestion; socket: string } {
  let configuration: NetworkConfiguration
  try {
    configuration = JSON.parse(stdin) as NetworkConfiguration
  } catch {
    throw failure(CNI_VERSION, CNI_CODE.decode, 'the network configuration on standard input is not JSON')
  }
  const cniVersion = typeof configuration.cniVersion === 'string' ? configuration.cniVersion : CNI_VERSION
  const command = environment['CNI_COMMAND'] ?? ''
  if (command === '') throw failure(cniVersion, CNI_CODE.environment, 'CNI_COMMAND is not set: a container runtime starts this program')
  if (!(CNI_VERSIONS as readonly string[]).includes(cniVersion)) throw failure(cniVersion, CNI_CODE.incompatible, `cniVersion ${cniVersion} is not supported, only ${CNI_VERSIONS.join(', ')}`)
  if (typeof configuration.socket !== 'string' && command !== 'VERSION') throw failure(cniVersion, CNI_CODE.decode, 'the network configuration names no socket')
  return {
    socket: typeof configuration.socket === 'string' ? configuration.socket : '',
    question: {
      command, cniVersion, containerId: environment['CNI_CONTAINERID'] ?? '', netns: environment['CNI_NETNS'] ?? '', ifname: environment['CNI_IFNAME'] ?? 'eth0', args: environment['CNI_ARGS'] ?? '',
      portMappings: parsePorts(configuration.runtimeConfig?.portMappings),
    },
  }
}

function parsePorts(value: unknown): PodPort[] {
  if (!Array.isArray(value)) return []
  return (value as { hostPort?: unknown; containerPort?: unknown; protocol?: unknown; hostIP?: unknown }[]).flatMap((p) => {
    const protocol = typeof p.protocol === 'string' ? p.protocol.toUpperCase() : 'TCP'
    if (!Number.isInteger(p.hostPort) || !Number.isInteger(p.containerPort) || (protocol !== 'TCP' && protocol !== 'UDP' && protocol !== 'SCTP')) return []
    return [{ protocol, hostPort: p.hostPort as number, containerPort: p.containerPort as number, hostIp: typeof p.hostIP === 'string' ? p.hostIP : '' }]
  })
}

/** `K8S_POD_NAME=a;IgnoreUnknown=1` */
export function parseArgs(args: string): ReadonlyMap<string, string> {
  return new Map(args.split(';').filter((a) => a.includes('=')).map((a) => [a.slice(0, a.indexOf('=')), a.slice(a.indexOf('=') + 1)]))
}

/** The answer to ADD. The first address is the pod's; routes and neighbours are set, so each stands for itself. */
export function addResult(question: Pick<CniQuestion, 'cniVersion' | 'ifname' | 'netns'>, ips: readonly string[]): object {
  const hasVersionPerIp = question.cniVersion.startsWith('0.')
  return {
    cniVersion: question.cniVersion,
    interfaces: [{ name: question.ifname, sandbox: question.netns }],
    ips: ips.map((ip) => ({ ...(hasVersionPerIp && { version: ip.includes(':') ? '6' : '4' }), address: `${ip}/${ip.includes(':') ? 128 : 32}`, interface: 0 })),
    dns: {},
  }
}

export function failure(cniVersion: string, code: number, msg: string, details?: string): CniFailure {
  return new CniFailure({ cniVersion, code, msg, ...(details !== undefined && { details }) })
}

export class CniFailure extends Error {
  readonly error: CniError

  constructor(error: CniError) {
    super(error.msg)
    this.error = error
  }
}
