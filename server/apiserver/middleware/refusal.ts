/** The panic guard: what goes wrong becomes the Status that tells of it; what nobody expected is logged, and a 500. */
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Exchange, PeerRequest } from '../exchange.ts'
import { splitTarget } from '../http/query.ts'
import { internal, StatusError } from '../http/status.ts'
import { storeFailure } from '../verbs/stored.ts'

export type RefusalOf = (error: unknown, request: PeerRequest, exchange: Exchange) => StatusError

export function createRefusals({ log, panic }: { log: Log; /** Told of each that nobody expected. */ panic: () => void }): RefusalOf {
  return (error, request, exchange) => {
    if (error instanceof StatusError) return error
    const failure = storeFailure(error)
    if (failure) {
      log.warn('the store refused a request', { method: request.method, path: splitTarget(request.path).path, error: asError(error) })
      return failure
    }
    if (request.signal.aborted) return new StatusError({ code: 499, reason: '', message: 'the client is gone' })
    panic()
    exchange.trail?.panic(asError(error).message)
    log.error('a request failed unexpectedly', { method: request.method, path: splitTarget(request.path).path, error: asError(error), stack: asError(error).stack })
    return internal('the request could not be completed; the server log has the reason')
  }
}
