/**
 * The options of a connection (exec, attach, portforward, proxy) as the object upstream makes of the query: admission sees it,
 * may change it, and what it says then is what is done.
 */
import type { KubeObject } from '#api/types/index.ts'
import { badRequest } from '../http/status.ts'
import { admitFully } from '../verbs/admit.ts'
import type { Call } from '../verbs/call.ts'

/** PodExecOptions and PodAttachOptions. */
export interface StreamOptions extends KubeObject { stdin?: boolean; stdout?: boolean; stderr?: boolean; tty?: boolean; container?: string; command?: string[] }
export interface PortForwardOptions extends KubeObject { ports?: number[] }
/** Of a pod, a service or a node; `path` with its leading slash, '' for none. */
export interface ProxyOptions extends KubeObject { path?: string }

const PROXY_KINDS: Readonly<Record<string, string>> = { pods: 'PodProxyOptions', services: 'ServiceProxyOptions', nodes: 'NodeProxyOptions' }
const STREAM_FLAGS = ['stdin', 'stdout', 'stderr', 'tty'] as const

export const admitExec = (call: Call): Promise<StreamOptions> => admitted(call, 'PodExecOptions', { ...streams(call), ...(call.query.has('command') && { command: call.query.all('command') }) })
export const admitAttach = (call: Call): Promise<StreamOptions> => admitted(call, 'PodAttachOptions', streams(call))
export const admitProxy = (call: Call): Promise<ProxyOptions> => admitted(call, PROXY_KINDS[call.row.ref.resource] ?? '', { ...(call.info.rest !== '' && { path: call.info.rest }) })

export function admitPortForward(call: Call): Promise<PortForwardOptions> {
  const ports = call.query.all('ports').flatMap((text) => text.split(',')).filter((text) => text !== '').map((text) => {
    if (!/^[+-]?\d{1,10}$/.test(text)) throw badRequest(`cannot convert to []int32: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`)
    return Number(text)
  })
  return admitted(call, 'PodPortForwardOptions', { ...(ports.length > 0 && { ports }) })
}

function streams({ query }: Call): StreamOptions {
  const container = query.text('container')
  return { ...Object.fromEntries(STREAM_FLAGS.filter((flag) => query.flag(flag)).map((flag) => [flag, true])), ...(container !== '' && { container }) }
}

async function admitted<T extends object>(call: Call, kind: string, fields: T): Promise<KubeObject & T> {
  const options: KubeObject & T = { kind, apiVersion: 'v1', ...fields }
  await admitFully(call, { operation: 'CONNECT', name: call.info.name, object: options, old: undefined, options: undefined, dryRun: false, as: { group: '', version: 'v1', kind, model: undefined } })
  return options
}
