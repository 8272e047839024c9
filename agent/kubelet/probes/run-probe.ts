/** Asks once: exec in the container, HTTP, TCP or gRPC to the pod's address, from the node. */
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Container, Probe } from '#api/types/index.ts'
import type { RuntimeService } from '#cri/index.ts'
import { createDeadline } from './deadline.ts'
import { grpcHealth } from './grpc-health.ts'
import { createHttpGet, dialMessage, httpTarget, targetUrl, type HttpGet } from './http-request.ts'
import { portNumber } from './port.ts'
import { probeTimeoutMs } from './probe-state.ts'

/** `warning` is a success worth an Event. `error`: the probe itself could not be made. */
export interface ProbeOutcome { result: 'success' | 'failure' | 'warning' | 'error'; output: string }

export interface ProbeRequest { probe: Probe; container: Container; containerId: string; podIp: string | undefined }
export type RunProbe = (request: ProbeRequest, signal: AbortSignal) => Promise<ProbeOutcome>

/** What an Event shows of a probe's output. */
const OUTPUT_CHARS_MAX = 10 * 1024

export interface RunProbeDeps { runtime: Pick<RuntimeService, 'execSync'>; clock: Clock; httpGet?: HttpGet }

export function createRunProbe({ runtime, clock, httpGet = createHttpGet(clock) }: RunProbeDeps): RunProbe {
  const exec = async ({ probe, containerId }: ProbeRequest): Promise<ProbeOutcome> => {
    const command = probe.exec?.command ?? []
    const seconds = Math.ceil(probeTimeoutMs(probe) / 1000)
    try {
      const { exitCode, stdout, stderr } = await runtime.execSync(containerId, command, seconds)
      const output = Buffer.concat([stdout, stderr]).toString('utf8').slice(0, OUTPUT_CHARS_MAX)
      return { result: exitCode === 0 ? 'success' : 'failure', output }
    } catch (error) {
      if (hasCode(error, 'CRI_TIMEOUT')) return { result: 'failure', output: `command timed out: ${JSON.stringify(command.join(' '))} timed out after ${seconds}s` }
      return { result: 'error', output: `rpc error: ${asError(error).message}` }
    }
  }

  const http = async ({ probe, container, podIp }: ProbeRequest, signal: AbortSignal): Promise<ProbeOutcome> => {
    const action = probe.httpGet
    if (!action) return { result: 'error', output: 'no httpGet' }
    const target = httpTarget(action, podIp ?? '', portNumber(action.port, container), 'kube-probe/1.36')
    try {
      const answer = await httpGet(target, probeTimeoutMs(probe), signal)
      if (answer.redirectedAway) return { result: 'warning', output: `Probe terminated redirects, Response body: ${answer.body}` }
      if (answer.status >= 200 && answer.status < 400) return { result: 'success', output: answer.body }
      return { result: 'failure', output: `HTTP probe failed with statuscode: ${answer.status}` }
    } catch (error) {
      signal.throwIfAborted()
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
      const status = await grpcHealth(target, deadline.signal)
      return status === 'SERVING' ? { result: 'success', output: 'service healthy' } : { result: 'failure', output: `service unhealthy (responded with ${JSON.stringify(status)})` }
    } catch (error) {
      signal.throwIfAborted()
      const where = `"${target.host}:${target.port}"`
      if (deadline.expired) return { result: 'failure', output: `timeout: failed to connect service ${where} within ${probeTimeoutMs(probe) / 1000}s: context deadline exceeded` }
      return { result: 'failure', output: `error: failed to connect service ${where}: ${dialMessage(error, target)}` }
    } finally {
      deadline.end()
    }
  }

  return async (request, signal) => {
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
}
