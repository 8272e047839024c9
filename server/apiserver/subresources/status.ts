/** `/status`: the same object, of which only the status (and what the kind lets it) may be written. */
import type { ApiResponse } from '#api/client/transport.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change, UNCONDITIONAL_ATTEMPTS } from '../verbs/change.ts'
import { get } from '../verbs/get.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import { patchChange } from '../verbs/patch.ts'
import { replacement } from '../verbs/update.ts'
import { methodNotAllowed } from '../http/status.ts'


export async function status(call: Call): Promise<ApiResponse> {
  switch (call.verb) {
    case 'get': return get(call)
    case 'update': {
      const options = parseWriteOptions(call, 'UpdateOptions')
      const object = readObject(call, options.fieldValidation)
      return change(call, { next: replacement(call, object, options), part: 'status', fields: 'update', options, attempts: UNCONDITIONAL_ATTEMPTS })
    }
    case 'patch': return change(call, { ...patchChange(call), part: 'status' })
    default: throw methodNotAllowed()
  }
}
