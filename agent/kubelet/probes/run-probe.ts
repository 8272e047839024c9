/** Asks once: exec in the container, HTTP, TCP or gRPC to the pod's address, from the node. */
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import { GRPC, grpcCodeName } from '#base/grpc/grpc-status.ts'
import type { Container, Probe } from '#api/types/index.ts'
import { callError, type RuntimeService } from '#cri/index.ts'
import { createDeadline } from './deadline.ts'
import { expandReferences } from '../env-expand.ts'
import { goDuration } from '../image-puller.ts'
import { grpcHealth } from './grpc-health.ts'
import { createHttpGet, dialMessage, httpTarget, targetUrl, type HttpGet } from './http-request.ts'
import { portNumber } from './port.ts'
import { probeTimeoutMs } from './probe-state.ts'

/** `warning` is a success worth an Event. `error`: the probe itself could not be made; `state`: what upstream says that leads to, if not `unknown`. */
export interface ProbeOutcome { result: 'success' | 'failure' | 'warning' | 'error'; output: string; state?: 'failure' }

export interface ProbeRequest { probe: Probe; container: Container; containerId: string; podIp: string | undefined }
export type RunProbe = (request: ProbeRequest, signal: AbortSignal) => Promise<ProbeOutcome>

/** What an Event shows of a probe's output. */
const OUTPUT_CHARS_MAX = 10 * 1024
/** Upstream's maxProbeRetries: how often in a row a probe that cannot be made is tried. */
const TRIES_MAX = 3

export interface RunProbeDeps { runtime: Pick<RuntimeService, 'execSync'>; clock: Clock; httpGet?: HttpGet }

export function createRunProbe({ runtime, clock, httpGet = createHttpGet(clock) }: RunProbeDeps): RunProbe {
  const exec = async ({ probe, container, containerId }: ProbeRequest): Promise<ProbeOutcome> => {
    // References to variables that are written out in the container; those from elsewhere count as empty, as upstream's.
    const variables = new Map((container.env ?? []).map((e) => [e.name, e.value ?? '']))
    const command = (probe.exec?.command ?? []).map((word) => expandReferences(word, (name) => variables.get(name)))
    const seconds = Math.ceil(probeTimeoutMs(probe) / 1000)
    try {
      const { exitCode, stdout, stderr } = await runtime.execSync(containerId, command, seconds)
      const output = Buffer.concat([stdout, stderr]).toString('utf8').slice(0, OUTPUT_CHARS_MAX)
      return { result: exitCode === 0 ? 'success' : 'failure', output }
    } catch (error) {
      if (hasCode(error, 'CRI_TIMEOUT')) return { result: 'failure', output: `command timed out: ${JSON.stringify(command.join(' '))} timed out after ${seconds}s` }
      return { result: 'error', output: callError(error) }
    }
  }

  const http = async ({ probe, container, podIp }: ProbeRequest, signal: AbortSignal): Promise<ProbeOutcome> => {
    const action = probe.httpGet
    if (!action) return { result: 'error', output: 'no httpGet' }
    const target = httpTarget(action, podIp ?? '', portNumber(action.port, container), 'kube-probe/1.36')
    try {
      const answer = await httpGet(target, probeTimeoutMs(probe), signal)
      if (answer.status >= 300 && answer.status < 400) return { result: 'warning', output: `Probe terminated redirects, Response body: ${answer.body}` }
      if (answer.status >= 200 && answer.status < 300) return { result: 'success', output: answer.body }
      return { result: 'failure', output: `HTTP probe failed with statuscode: ${answer.status}` }
    } catch (error) {
      signal.throwIfAborted()
      if (hasCode(error, 'PROBE_UNREAD')) return { result: 'error', output: asError(error).message, state: 'failure' }
      return { result: 'failure', output: hasCode(error, 'PROBE_FAILED') || hasCode(error, 'PROBE_TIMEOUT') ? asError(error).message : `Get "${targetUrl(target)}": ${asError(error).message}` }
    }
  }

  const tcp = async ({ probe, container, podIp }: ProbeRequest, signal: AbortSignal): Promise<ProbeOutcome> => {
    const target = { host: probe.tcpSocket?.host || (podIp ?? ''), port: portNumber(probe.tcpSocket?.port ?? 0, container) }
    const { connect } = await import('node:net')
    const deadline = createDeadline(clock, probeTimeoutMs(probe), signal)
    try {
      await new Promise<void>((resolve, reject) => {
        const socket = connect({ host: target.host, port: target.port })
        const stop = () => { socket.destroy(); reject(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })) }
        deadline.signal.addEventListener('abort', stop, { once: true })
        socket.once('connect', () => { socket.destroy(); resolve() })
        socket.once('error', (error) => { socket.destroy(); reject(error) })
      })
      return { result: 'success', output: '' }
    } catch (error) {
      signal.throwIfAborted()
      return { result: 'failure', output: dialMessage(error, target) }
    } finally {
      deadline.end()
    }
  }

  const grpc = async ({ probe, podIp }: ProbeRequest, signal: AbortSignal): Promise<ProbeOutcome> => {
    const target = { host: podIp ?? '', port: probe.grpc?.port ?? 0, service: probe.grpc?.service ?? '' }
    const deadline = createDeadline(clock, probeTimeoutMs(probe), signal)
    try {
      const { connected, status, code = GRPC.ok, message = '' } = await grpcHealth(target, deadline.signal)
      signal.throwIfAborted()
      if (status === 'SERVING') return { result: 'success', output: 'service healthy' }
      const within = goDuration(probeTimeoutMs(probe))
      return { result: 'failure', output: status !== undefined ? `service unhealthy (responded with ${JSON.stringify(status)})`
        // Upstream tries to connect until the time is over; it is the same to everybody to hear of it at once.
        : !connected ? `timeout: failed to connect service ${JSON.stringify(`${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`)} within ${within}: context deadline exceeded`
          : code === GRPC.unimplemented ? `error: this server does not implement the grpc health protocol (grpc.health.v1.Health): ${message}`
            : code === GRPC.deadlineExceeded ? `timeout: health rpc did not complete within ${within}`
              : `error: health rpc probe failed: rpc error: code = ${grpcCodeName(code)} desc = ${message}` }
    } finally {
      deadline.end()
    }
  }

  const once = async (request: ProbeRequest, signal: AbortSignal): Promise<ProbeOutcome> => {
    const { probe, podIp } = request
    try {
      if (probe.exec) return await exec(request)
      if (podIp === undefined && !probe.httpGet?.host && !probe.tcpSocket?.host) return { result: 'error', output: 'the pod has no address' }
      if (probe.httpGet) return await http(request, signal)
      if (probe.tcpSocket) return await tcp(request, signal)
      if (probe.grpc) return await grpc(request, signal)
      return { result: 'error', output: 'missing probe handler' }
    } catch (error) {
      signal.throwIfAborted()
      return { result: 'error', output: asError(error).message }
    }
  }

  return async (request, signal) => {
    for (let tries = 1; ; tries++) {
      const outcome = await once(request, signal)
      if (outcome.result !== 'error' || tries >= TRIES_MAX || signal.aborted) return outcome
    }
  }
}
