/**
 * The transport-neutral face of the API: the server's handler implements it, the network adapter and the client speak
 * it. In process a controller's client is handed the handler itself: no socket, no TLS, same semantics.
 */
import type { Readable } from 'node:stream'

export interface ApiRequest {
  /** Upper case. */
  method: string
  /** Raw path and query: `/api/v1/pods?limit=5`. */
  path: string
  /** Lower-case names; repeated headers joined with `, `, those that impersonate with a line feed. */
  headers: Readonly<Record<string, string>>
  /** The whole body; undefined when there is none. The network adapter bounds it (3 MiB, upstream's limit) before it gets here. */
  body?: Buffer
  /** In place of `body`: what is passed on to another server as it comes. Only where the server asks the adapter for it. */
  stream?: Readable
  /** Aborted when the caller is gone; a watch ends then. */
  signal: AbortSignal
}

export interface ApiResponse {
  status: number
  /** Lower-case names. */
  headers: Record<string, string>
  /** Buffers are shared between responses: never written to. */
  body: Buffer | readonly Buffer[] | BodyStream
}

/** A body of unknown length (watch, logs), pushed. */
export interface BodyStream {
  /** Called once. The producer writes until `end`; it stops by itself when the request's signal aborts. */
  start(sink: BodySink): void
}

export interface BodySink {
  /** False: full; write no more until `onDrain`. */
  write(chunk: Buffer): boolean
  onDrain(fn: () => void): void
  end(): void
  /** Breaks the response off so that the client can tell it is not complete. */
  fail(error: Error): void
}

export interface Transport {
  /** Rejects only when no response could be had (network failure, aborted); an HTTP error is a response. */
  request(request: ApiRequest): Promise<ApiResponse>
}

export function isBodyStream(body: ApiResponse['body']): body is BodyStream {
  return !Buffer.isBuffer(body) && !Array.isArray(body)
}
