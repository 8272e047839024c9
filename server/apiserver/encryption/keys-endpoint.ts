/**
 * `/db/encryption-keys`: what `skiff secrets-encrypt` asks of a server. GET names the keys; POST to `/rotate` puts a new one
 * first on all servers, POST to `/forget` leaves only the first. For system:masters alone. No key is ever in an answer.
 */
import { CodedError } from '#base/errors.ts'
import type { PathHandler } from '../discovery/paths.ts'
import { jsonResponse } from '../http/response.ts'
import { forbiddenPath, methodNotAllowed, StatusError } from '../http/status.ts'
import type { OwnEncryption } from './own-keys.ts'

export const KEYS_PATH = '/db/encryption-keys'
const MASTERS = 'system:masters'

/** `encryption` undefined: a file of the administrator's says what is encrypted, and how. */
export function keysEndpoints(encryption: Pick<OwnEncryption, 'names' | 'rotate' | 'forget'> | undefined): Readonly<Record<string, { handle: PathHandler }>> {
  const answering = (path: string, method: 'GET' | 'POST', act: (own: Pick<OwnEncryption, 'names' | 'rotate' | 'forget'>) => Promise<void>): Record<string, { handle: PathHandler }> => ({
    [path]: {
      async handle(request) {
        if (request.method !== method) throw methodNotAllowed()
        if (!request.user.groups.includes(MASTERS)) throw forbiddenPath(`User ${JSON.stringify(request.user.name)} cannot use path ${JSON.stringify(path)}: only members of ${MASTERS} may`)
        if (!encryption) throw refused('what is encrypted at rest is told by --encryption-provider-config: change that file')
        try {
          await act(encryption)
        } catch (error) {
          if (error instanceof CodedError && REFUSALS.includes(error.code)) throw refused(error.message)
          throw error
        }
        return jsonResponse({ keys: encryption.names() })
      },
    },
  })
  return { ...answering(KEYS_PATH, 'GET', async () => {}), ...answering(`${KEYS_PATH}/rotate`, 'POST', (own) => own.rotate()), ...answering(`${KEYS_PATH}/forget`, 'POST', (own) => own.forget()) }
}

const REFUSALS = ['NOT_ENCRYPTED', 'TOO_SOON', 'KEY_FILE_FOREIGN']

const refused = (message: string): StatusError => new StatusError({ code: 409, reason: 'Conflict', message })
