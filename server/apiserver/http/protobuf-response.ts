/** Answers in protobuf for clients that would rather have it. */
import { isBodyStream, type ApiResponse } from '#api/client/transport.ts'
import { PROTOBUF_TYPE, transcodeProtobuf } from '../protobuf/index.ts'
import { prefersProtobuf } from './negotiate.ts'
import { isPacked, JSON_TYPE } from './response.ts'

/** A JSON answer of one object (a refusal's Status as well) in protobuf, where the client wants it and the kind has that form. */
export function protobufResponse(response: ApiResponse, accept: string | undefined): ApiResponse {
  if (accept === undefined || response.headers['content-type'] !== JSON_TYPE || isBodyStream(response.body) || isPacked(response) || !prefersProtobuf(accept)) return response
  const bytes = Buffer.isBuffer(response.body) ? response.body : Buffer.concat(response.body)
  // The answer to a HEAD has none.
  if (bytes.length === 0) return response
  const body = transcodeProtobuf(bytes)
  return body === undefined ? response : { ...response, headers: { ...response.headers, 'content-type': PROTOBUF_TYPE }, body }
}
