/** The contract's errors by gRPC's codes: what callers on the socket are told, and how messages read that people know from there. */
import { asError, CodedError } from '#base/errors.ts'
import { GRPC, goRpcError, GrpcError } from '#base/grpc/grpc-status.ts'

const STATUS_OF: Readonly<Record<string, number>> = {
  CRI_NOT_FOUND: GRPC.notFound, CRI_IMAGE_NOT_FOUND: GRPC.notFound, CRI_INVALID: GRPC.invalidArgument, CRI_EXISTS: GRPC.alreadyExists, CRI_TIMEOUT: GRPC.deadlineExceeded,
}

/** `otherwise`: of an error that is none of the contract's. */
export function grpcError(error: unknown, otherwise: number = GRPC.internal): GrpcError {
  if (error instanceof GrpcError) return error
  return new GrpcError(error instanceof CodedError ? STATUS_OF[error.code] ?? GRPC.unknown : otherwise, asError(error).message, { cause: error })
}

/** `rpc error: code = Unknown desc = ...`: what a kubelet, which has its runtime behind a socket, tells of a call that failed. */
export function callError(error: unknown): string {
  const asked = error instanceof CodedError && error.cause instanceof GrpcError ? error.cause : error
  return goRpcError(grpcError(asked, GRPC.unknown))
}
