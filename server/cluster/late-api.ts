/**
 * The API behind a port that is open before it: several servers need each other to have a store, and reach each other
 * through the port. Until then every request is answered 503, as by an API server whose etcd is away.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import type { ApiServer, PeerRequest } from '../apiserver/app.ts'
import { statusResponse } from '../apiserver/http/response.ts'
import type { ServedApi } from '../apiserver/http/served-api.ts'

export interface LateApi extends ServedApi {
  use(api: ApiServer): void
}

const RETRY_SECONDS = 1

/** `before`: asked first, for what servers have to say to each other; undefined: it is not for it. */
export function lateApi(before: (request: PeerRequest) => Promise<ApiResponse> | undefined): LateApi {
  let api: ApiServer | undefined
  return {
    use(given) {
      api = given
    },
    handle: (request) => before(request) ?? api?.handle(request) ?? Promise.resolve(statusResponse({
      code: 503, reason: 'ServiceUnavailable', message: 'the server is starting: it waits for a majority of the servers of its cluster', details: { retryAfterSeconds: RETRY_SECONDS },
    })),
    mayUpgrade: (target, protocol) => api?.mayUpgrade(target, protocol) ?? false,
    passesOn: (target) => api?.passesOn(target) ?? false,
    upgrade: (request, socket, head) => api?.upgrade(request, socket, head) ?? Promise.resolve(void socket.destroy()),
    stopping: () => api?.stopping(),
    close: () => api?.close(),
  }
}
