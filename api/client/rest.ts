/** The Client over any Transport: the network, or in process the API's own handler. */
import { CodedError } from '#base/errors.ts'
import type { KubeObject, ResourceRef, Stored } from '../types/index.ts'
import { apiVersionOf } from '../types/index.ts'
import { collect, lines } from './body.ts'
import { cutManagedFields } from './cut-managed-fields.ts'
import { ApiError, type Client, type ListParams, type ListResult, type WatchEvent, type WatchParams, type WriteOptions } from './client.ts'
import { queryString, resourcePath } from './path.ts'
import type { ApiRequest, ApiResponse, Transport } from './transport.ts'

export interface ClientOptions {
  userAgent: string
  /** Further headers on each request, e.g. `authorization`, or what tells an in-process handler who asks. Lower-case names. */
  headers?: Readonly<Record<string, string>>
}

const JSON_TYPE = 'application/json'
const PARTIAL = (kind: string) => `application/json;as=${kind};g=meta.k8s.io;v=v1,application/json`

export function createClient(transport: Transport, options: ClientOptions): Client {
  const send = async (method: string, path: string, send_: { body?: unknown; type?: string; accept?: string; signal?: AbortSignal | undefined }): Promise<ApiResponse> => {
    const headers: Record<string, string> = { ...options.headers, accept: send_.accept ?? JSON_TYPE, 'user-agent': options.userAgent }
    // Own signal per request: a shared one would gather listeners for ever.
    const request: ApiRequest = { method, path, headers, signal: send_.signal ?? new AbortController().signal }
    if (send_.body !== undefined) {
      headers['content-type'] = send_.type ?? JSON_TYPE
      request.body = Buffer.from(JSON.stringify(send_.body))
    }
    const response = await transport.request(request)
    if (response.status >= 400) throw await apiError(method, path, response)
    return response
  }
  const ask = async <R>(method: string, path: string, how: Parameters<typeof send>[2]): Promise<R> => {
    const response = await send(method, path, how)
    return parseBody(await collect(response.body), method, path) as R
  }

  return {
    get: (ref, name, namespace, signal) => ask('GET', resourcePath(ref, { name, namespace }), { signal }),

    async list<T extends KubeObject>(ref: ResourceRef, params: ListParams = {}, signal?: AbortSignal) {
      const path = resourcePath(ref, { namespace: params.namespace }) + queryString(listQuery(params))
      const accept = params.metadataOnly ? PARTIAL('PartialObjectMetadataList') : JSON_TYPE
      const list = await ask<ListResult<T>>('GET', path, { signal, accept })
      // Items of a list carry no kind of their own; who caches them wants to know what they are.
      const kinded = (list.items ?? []).map((o) => nameKind(ref, o))
      return { items: kinded, metadata: list.metadata }
    },

    async *watch<T extends KubeObject>(ref: ResourceRef, params: WatchParams, signal: AbortSignal): AsyncGenerator<WatchEvent<T>, void> {
      const { timeoutSeconds, allowWatchBookmarks, sendInitialEvents, withoutManagedFields } = params
      const query = queryString({ watch: true, ...listQuery(params), timeoutSeconds, allowWatchBookmarks, sendInitialEvents })
      const accept = params.metadataOnly ? PARTIAL('PartialObjectMetadata') : JSON_TYPE
      // Ends the request also when the reader just stops reading.
      const reading = new AbortController()
      const stop = () => reading.abort(signal.reason)
      if (signal.aborted) return
      signal.addEventListener('abort', stop, { once: true })
      try {
        const path = resourcePath(ref, { namespace: params.namespace }) + query
        const response = await send('GET', path, { signal: reading.signal, accept })
        for await (const line of lines(response.body, reading.signal)) {
          if (signal.aborted) return
          const text = line.toString()
          const event = parseText(withoutManagedFields ? cutManagedFields(text) : text, 'WATCH', path) as WatchEvent<T>
          if (event.type === 'ADDED' || event.type === 'MODIFIED' || event.type === 'DELETED') nameKind(ref, event.object)
          yield event
        }
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        signal.removeEventListener('abort', stop)
        reading.abort()
      }
    },

    create: (ref, object, how = {}) =>
      ask('POST', resourcePath(ref, {
        namespace: object.metadata?.namespace,
        ...(how.subresource !== undefined && { name: object.metadata?.name, subresource: how.subresource }),
      }) + writeQuery(how), { body: object, signal: how.signal }),

    update: (ref, object, how = {}) =>
      ask('PUT', resourcePath(ref, { ...object.metadata, subresource: how.subresource }) + writeQuery(how), { body: object, signal: how.signal }),

    patch: (ref, name, namespace, type, patch, how = {}) =>
      ask('PATCH', resourcePath(ref, { name, namespace, subresource: how.subresource }) + writeQuery(how), { body: patch, type, signal: how.signal }),

    async delete(ref, name, namespace, how = {}) {
      const { signal, ...fields } = how
      await ask('DELETE', resourcePath(ref, { name, namespace }), { body: { apiVersion: 'v1', kind: 'DeleteOptions', ...fields }, signal })
    },

    raw: (method, path, body, signal) => ask(method, path, { body, signal }),
  }
}

function listQuery(params: ListParams): Record<string, string | number | undefined> {
  const { labelSelector, fieldSelector, limit, resourceVersion, resourceVersionMatch } = params
  return { labelSelector, fieldSelector, limit, continue: params.continue, resourceVersion, resourceVersionMatch }
}

function writeQuery(how: WriteOptions): string {
  return queryString({ dryRun: how.dryRun ? 'All' : undefined, fieldManager: how.fieldManager, force: how.force })
}

function nameKind<T extends KubeObject>(ref: ResourceRef, object: Stored<T>): Stored<T> {
  object.apiVersion = apiVersionOf(ref)
  object.kind = ref.kind
  return object
}

function parseBody(bytes: Buffer, method: string, path: string): unknown {
  return bytes.length === 0 ? undefined : parseText(bytes.toString(), method, path)
}

function parseText(text: string, method: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new CodedError('BAD_ANSWER', `the API server's answer to ${method} ${path} is not JSON`, { cause })
  }
}

/** A Status when there is one; whatever else stands between us and the server (a proxy) may answer with anything. */
async function apiError(method: string, path: string, response: ApiResponse): Promise<ApiError> {
  const bytes = await collect(response.body, ERROR_BYTES_MAX)
  let status: { code?: number; reason?: string; message?: string; details?: unknown } = {}
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof parsed === 'object' && parsed !== null) status = parsed
  } catch {
    status = { message: `${method} ${path}: ${response.status} ${bytes.toString('utf8').slice(0, 200).trim()}` }
  }
  return new ApiError({ ...status, code: response.status })
}

const ERROR_BYTES_MAX = 1024 * 1024
