/** etcd's refusals (gRPC status and text, `rpctypes`) as the store's. */
import { asError, CodedError } from '#base/errors.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'

const DATA_LOSS = 15

/** A member that is away, has no leader or does not answer: another one, or the same one later, may. */
export function isOutage(error: unknown): error is GrpcError {
  return error instanceof GrpcError && (error.status === GRPC.unavailable || error.status === GRPC.deadlineExceeded || isRefusedUnseen(error))
}

/** Nothing has been done, so it can be asked again, whatever it was. */
export function isUndone(error: GrpcError): boolean {
  return !error.wasSent || isRefusedUnseen(error) || error.message === 'etcdserver: no leader'
}

/** Too many proposals wait: refused before it became one. */
const isRefusedUnseen = (error: GrpcError): boolean => error.status === GRPC.resourceExhausted && error.message === 'etcdserver: too many requests'

/** `STORE_UNAVAILABLE`, `STORE_COMPACTED`, `STORE_FUTURE_REVISION`, `STORE_READ_ONLY`, `STORE_CORRUPT`, `STORE_REFUSED`. */
export function storeError(error: unknown): Error {
  if (!(error instanceof GrpcError)) return asError(error)
  const { status, message } = error
  if (status === GRPC.outOfRange && message.includes('compacted')) return new CodedError('STORE_COMPACTED', 'this revision has been compacted in etcd', { cause: error })
  if (status === GRPC.outOfRange && message.includes('future')) return new CodedError('STORE_FUTURE_REVISION', 'this revision does not exist yet in etcd', { cause: error })
  if (status === GRPC.resourceExhausted && message.includes('space exceeded')) return new CodedError('STORE_READ_ONLY', `etcd has reached its --quota-backend-bytes (${message}): compact and defragment it, then clear the alarm: etcdctl alarm disarm`, { cause: error })
  if (status === DATA_LOSS) return new CodedError('STORE_CORRUPT', `etcd says that it is damaged: ${message}`, { cause: error })
  if (isOutage(error)) return new CodedError('STORE_UNAVAILABLE', `etcd cannot be reached or has no leader (${message}): try again in a moment`, { cause: error })
  if (status === GRPC.cancelled) return new CodedError('STORE_CLOSED', 'the store is closed', { cause: error })
  return new CodedError('STORE_REFUSED', `etcd refuses: ${message}${message.includes('too large') ? ' (its --max-request-bytes bounds one object)' : ''}`, { cause: error })
}
