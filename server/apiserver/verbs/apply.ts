import type { ApiResponse } from '#api/client/transport.ts'
import { unsupportedMediaType } from '../http/status.ts'
import type { Call } from './call.ts'
import type { Change } from './change.ts'

export async function applyPatch(_call: Call): Promise<ApiResponse> { throw unsupportedMediaType([]) }
export function applyChange(_call: Call): Change { throw unsupportedMediaType([]) }
