/** `certificatesigningrequests/approval`: of the status only the conditions may be written; metadata may, as on /status. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { CertificateSigningRequest } from '#api/types/index.ts'
import { invalid } from '../http/status.ts'
import { approvalProblems, stamp } from '../kinds/certificate-signing-request.ts'
import { cloneJson } from '../storage/clone.ts'
import { readObject } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { change, type Change } from '../verbs/change.ts'
import { get } from '../verbs/get.ts'
import { parseWriteOptions } from '../verbs/options.ts'
import { patchChange } from '../verbs/patch.ts'
import type { Full } from '../verbs/stored.ts'

const ATTEMPTS = 16

export async function approval(call: Call): Promise<ApiResponse> {
  if (call.verb === 'get') return get(call)
  const wanted = wantedChange(call)
  return change(call, {
    ...wanted,
    async next(old) {
      const csr = old as Full & CertificateSigningRequest
      const asked = (await wanted.next(cloneJson(old))) as Full & CertificateSigningRequest
      const conditions = stamp(asked.status?.conditions ?? [], csr, call.parts.clock.nowMs())
      const problems = approvalProblems({ ...asked, status: { conditions } }, csr)
      if (problems.length > 0) throw invalid(call.row.ref, call.info.name, problems)
      return Object.assign(asked, { spec: csr.spec, status: { ...csr.status, conditions } })
    },
    part: 'spec',
  })
}

function wantedChange(call: Call): Change {
  if (call.verb === 'patch') return patchChange(call)
  const options = parseWriteOptions(call, 'UpdateOptions')
  const object = readObject(call, options.fieldValidation)
  return { next: () => cloneJson(object), part: 'spec', fields: 'update', options, attempts: ATTEMPTS }
}
