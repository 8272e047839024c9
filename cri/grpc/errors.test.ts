import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import { contractError, isUnimplemented } from './errors.ts'

const unknownMethod = new GrpcError(GRPC.unimplemented, 'unknown method ListMetricDescriptors for service runtime.v1.RuntimeService')

test('a call that an older runtime does not have is known as such, also by what the contract makes of its error', () => {
  assert.ok(isUnimplemented(unknownMethod))
  assert.ok(isUnimplemented(contractError(unknownMethod, 'other')))
  for (const other of [new GrpcError(GRPC.unavailable, 'gone'), contractError(new GrpcError(GRPC.unavailable, 'gone'), 'other'), new Error('unknown method'), undefined]) assert.ok(!isUnimplemented(other))
})
