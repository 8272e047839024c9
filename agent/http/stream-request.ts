/** The streaming paths of the kubelet API (upstream: pkg/kubelet/server), parsed. */
import { CodedError } from '#base/errors.ts'
import { parsePort, type StreamFlags } from '#cri/index.ts'
import type { ContainerName, LogOptions } from '../kubelet/streams.ts'
import { segmentsOf } from './kubelet-routes.ts'

export type StreamRequest =
  | { kind: 'exec'; target: ContainerName; command: string[]; flags: StreamFlags }
  | { kind: 'attach'; target: ContainerName; flags: StreamFlags }
  | { kind: 'portForward'; namespace: string; pod: string; uid: string | undefined; ports: number[] }

/** Undefined when the path is none of exec, attach, portForward. Throws BAD_REQUEST. */
export function parseStreamRequest(url: URL): StreamRequest | undefined {
  const [verb, namespace = '', pod = '', ...rest] = segmentsOf(url.pathname)
  const target = containerName(namespace, pod, rest)
  const query = url.searchParams
  switch (verb) {
    case 'exec': {
      const command = query.getAll('command')
      if (command.length === 0) throw badRequest('you must specify a command')
      return { kind: 'exec', target, command, flags: flagsOf(query) }
    }
    case 'attach':
      return { kind: 'attach', target, flags: flagsOf(query) }
    case 'portForward':
      return { kind: 'portForward', namespace, pod, uid: rest[0], ports: [...query.getAll('ports'), ...query.getAll('port')].flatMap((p) => p.split(',')).map(parsePort) }
    default:
      return undefined
  }
}

/** The kubelet's own names (input, output, error) and the API's (stdin, stdout, stderr). */
function flagsOf(query: URLSearchParams): StreamFlags {
  const on = (...names: string[]) => names.some((n) => ['1', 'true'].includes(query.get(n) ?? ''))
  const tty = on('tty')
  const flags = { stdin: on('input', 'stdin'), stdout: on('output', 'stdout'), stderr: on('error', 'stderr') && !tty, tty }
  if (!flags.stdin && !flags.stdout && !flags.stderr) throw badRequest('you must specify at least 1 of stdin, stdout, stderr')
  return flags
}

/** `<ns>/<pod>/[<uid>/]<container>`, as upstream's paths. */
export function containerName(namespace: string, pod: string, rest: readonly string[]): ContainerName {
  const [container = '', uid] = [rest.at(-1), rest.length > 1 ? rest[0] : undefined]
  return { namespace, pod, container, ...(uid && { uid }) }
}

export function parseLogOptions(query: URLSearchParams): LogOptions {
  const on = (name: string) => ['1', 'true'].includes(query.get(name) ?? '')
  const options: LogOptions = { previous: on('previous'), follow: on('follow'), timestamps: on('timestamps') }
  // Older clients' name for it; `all` is the same as none.
  const tail = query.get('tail')
  const tailLines = tail ? (tail === 'all' ? undefined : count(tail, 0)) : count(query.get('tailLines'), 0)
  const limitBytes = count(query.get('limitBytes'), 1)
  const sinceSeconds = count(query.get('sinceSeconds'), 1)
  const sinceTime = query.get('sinceTime')
  if (tailLines !== undefined) options.tailLines = tailLines
  if (limitBytes !== undefined) options.limitBytes = limitBytes
  if (sinceSeconds !== undefined) options.sinceSeconds = sinceSeconds
  if (sinceTime) options.sinceTime = sinceTime
  if (sinceTime && !Number.isFinite(Date.parse(sinceTime))) throw undecodable()
  if (sinceTime && sinceSeconds !== undefined) throw invalid()
  const stream = query.get('stream')
  if (stream === 'All' || stream === 'Stdout' || stream === 'Stderr') options.stream = stream
  else if (stream !== null) throw invalid()
  if (tailLines !== undefined && options.stream !== undefined && options.stream !== 'All') throw invalid()
  return options
}

function count(text: string | null, min: number): number | undefined {
  if (text === null || text === '') return undefined
  if (!/^-?\d{1,15}$/.test(text)) throw undecodable()
  if (Number(text) < min) throw invalid()
  return Number(text)
}

const undecodable = (): CodedError => badRequest('{"message": "Unable to decode query."}')
/** Upstream's ValidatePodLogOptions, of which the kubelet tells no more. */
const invalid = (): CodedError => new CodedError('LOG_OPTIONS_INVALID', '{"message": "Invalid request."}')

export function badRequest(message: string): CodedError {
  return new CodedError('BAD_REQUEST', message)
}
