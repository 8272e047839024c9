/** `certificatesigningrequests/approval`: of the status only the conditions may be written; metadata may, as on /status. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { CertificateSigningRequest } from '#api/types/index.ts'
import { approvalProblems, stamp } from '../kinds/certificate-signing-request.ts'
import { validateMetaUpdate } from '../kinds/object-meta.ts'
import { cloneJson } from '../storage/clone.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change, type Change, type Rules } from '../verbs/change.ts'
import { get } from '../verbs/get.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import { patchChange } from '../verbs/patch.ts'
import type { Full } from '../verbs/stored.ts'

const ATTEMPTS = 16

export async function approval(call: Call): Promise<ApiResponse> {
  if (call.verb === 'get') return get(call)
  return change(call, { ...wantedChange(call), part: 'spec', rules: rulesAt(call.parts.clock.nowMs()) })
}

type Request = Full & CertificateSigningRequest

function rulesAt(nowMs: number): Rules {
  return {
    prepare(asked: Request, old: Request) {
      Object.assign(asked, { spec: cloneJson(old.spec), status: { ...cloneJson(old.status), conditions: stamp(asked.status?.conditions ?? [], old, nowMs) } })
    },
    validate: (asked: Request, old: Request) => [...validateMetaUpdate(asked.metadata, old.metadata), ...approvalProblems(asked, old)],
  }
}

function wantedChange(call: Call): Change {
  if (call.verb === 'patch') return patchChange(call)
  const options = parseWriteOptions(call, 'UpdateOptions')
  const object = readObject(call, options.fieldValidation)
  return { next: () => cloneJson(object), part: 'spec', fields: 'update', options, attempts: ATTEMPTS }
}
