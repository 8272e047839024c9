/** One method of a gRPC service: where it is, what is asked, what is answered. */
import type { Message } from '../protobuf/message.ts'

export interface Call<Request, Response, Asked, Answered> { readonly path: string; readonly request: Message<Request, Asked>; readonly response: Message<Response, Answered> }
