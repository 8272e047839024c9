/** postStart and preStop handlers: exec, httpGet, tcpSocket (deprecated, fails as upstream), sleep. */
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Container, LifecycleHandler } from '#api/types/index.ts'
import { callError, type RuntimeService } from '#cri/index.ts'
import { createHttpGet, HTTP_TO_HTTPS, httpTarget, targetUrl, type HttpGet } from './probes/http-request.ts'
import { portNumber } from './probes/port.ts'

/** Of what a command says, in a message. */
const OUTPUT_CHARS_MAX = 1_024

export interface HookRunner {
  /** Rejects with what went wrong, worded for an Event; ends early when aborted. */
  run(request: HookRequest, signal: AbortSignal): Promise<void>
}

export interface HookRequest { handler: LifecycleHandler; container: Container; /** `web_default(uid)` */ pod: string; containerId: string; podIp: string | undefined; timeoutSeconds: number; /** It asked for HTTPS and was content with HTTP (`host:port`). */ onFallback?: (host: string) => void }

export interface HookDeps { runtime: Pick<RuntimeService, 'execSync'>; clock: Clock; httpGet?: HttpGet }

export function createHookRunner({ runtime, clock, httpGet: get = createHttpGet(clock) }: HookDeps): HookRunner {
  return {
    async run({ handler, container, pod, containerId, podIp, timeoutSeconds, onFallback }, signal) {
      const failed = (hook: string, why: string, cause?: unknown) => new CodedError('HOOK_FAILED', `${hook} for Container "${container.name}" in Pod "${pod}" failed - error: ${why}`, { cause })
      if (handler.exec) {
        const command = handler.exec.command ?? []
        // Without a limit, as upstream: what is not waited for any more goes on until it or its container ends.
        const hook = `Exec lifecycle hook ([${command.join(' ')}])`
        const { exitCode, stdout, stderr } = await raceAbort(runtime.execSync(containerId, command, 0), signal).catch((error: unknown) => {
          if (signal.aborted) throw error
          throw failed(hook, `${callError(error)}, message: ""`, error)
        })
        const said = (...parts: Buffer[]) => Buffer.concat(parts).toString('utf8').slice(0, OUTPUT_CHARS_MAX)
        if (exitCode !== 0) throw failed(hook, `command '${command.join(' ')}' exited with ${exitCode}: ${said(stderr)}, message: ${JSON.stringify(said(stdout, stderr))}`)
      } else if (handler.httpGet) {
        const port = portNumber(handler.httpGet.port, container)
        const host = handler.httpGet.host || podIp
        if (host === undefined) throw failed(`HTTP lifecycle hook (${handler.httpGet.path ?? '/'})`, 'failed to find networking container: the pod has no address')
        const target = httpTarget(handler.httpGet, host, port, 'kube-lifecycle/1.36')
        try {
          await get(target, timeoutSeconds * 1000, signal).catch(async (error: unknown) => {
            // It was told: what it says to that is nobody's concern.
            if (hasCode(error, 'PROBE_UNREAD') && !signal.aborted) return
            if (target.scheme !== 'https' || !asError(error).message.endsWith(HTTP_TO_HTTPS)) throw error
            const { authorization: _, ...headers } = target.headers
            await get({ ...target, scheme: 'http', headers }, timeoutSeconds * 1000, signal).catch((second: unknown) => { if (!hasCode(second, 'PROBE_UNREAD')) throw error }) // The first failure is the one to be told.
            onFallback?.(new URL(targetUrl(target)).host)
          })
        } catch (error) {
          if (signal.aborted) throw error
          throw failed(`HTTP lifecycle hook (${handler.httpGet.path ?? '/'})`, asError(error).message, error)
        }
      } else if (handler.sleep) {
        await clock.sleep(Math.min(handler.sleep.seconds, timeoutSeconds) * 1000, signal)
      } else {
        throw new CodedError('HOOK_FAILED', `Cannot run handler: invalid handler: ${JSON.stringify(handler)}`)
      }
    },
  }
}

/** The exec goes on by itself; only nobody waits for it any more. */
async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(asError(signal.reason))
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    work.catch(() => {}) // Its failure after the abort concerns nobody.
  }
}
