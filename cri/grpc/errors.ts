/** gRPC's errors as the contract's. Runtimes are not of one mind about codes: where the code says too little, the words are read. */
import { CodedError, hasCode } from '#base/errors.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'

export type CallKind = 'sandbox' | 'create' | 'container' | 'pull' | 'image' | 'other'

export function contractError(error: unknown, kind: CallKind): unknown {
  if (!(error instanceof GrpcError)) return error
  return new CodedError(codeOf(error, kind), error.message, { cause: error })
}

function codeOf(error: GrpcError, kind: CallKind): string {
  const { status, message } = error
  if (kind === 'create' && /is reserved for|already in use/.test(message)) return 'CRI_EXISTS'
  switch (status) {
    case GRPC.notFound:
      return kind === 'pull' || kind === 'image' || (kind === 'create' && /image/.test(message)) ? 'CRI_IMAGE_NOT_FOUND' : 'CRI_NOT_FOUND'
    case GRPC.alreadyExists: return 'CRI_EXISTS'
    case GRPC.invalidArgument: return 'CRI_INVALID'
    case GRPC.deadlineExceeded: return 'CRI_TIMEOUT'
    default:
      // CRI-O and some of containerd's paths know only Unknown.
      if (/(no such|could not find|does not exist|not found)/i.test(message) && kind !== 'pull' && /container|sandbox/.test(message) && !/executable|file or directory/.test(message)) return 'CRI_NOT_FOUND'
      return kind === 'pull' ? 'CRI_PULL_FAILED' : 'CRI_FAILED'
  }
}

/** Also of what contractError made of it. */
export function isUnimplemented(error: unknown): boolean {
  return hasCode(error, `GRPC_${GRPC.unimplemented}`) || (error instanceof CodedError && hasCode(error.cause, `GRPC_${GRPC.unimplemented}`))
}
