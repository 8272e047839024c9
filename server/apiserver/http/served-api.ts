/** What a listener needs to know of the API: how to hand requests over. */
import type { ApiServer } from '../app.ts'

/** What the network needs of the API. */
export type ServedApi = Pick<ApiServer, 'handle' | 'mayUpgrade' | 'passesOn' | 'upgrade' | 'stopping' | 'close'>
