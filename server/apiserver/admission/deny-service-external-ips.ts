/** DenyServiceExternalIPs: Services may keep and give up external IPs, and get no new ones (CVE-2020-8554). */
import type { Service } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

export const denyServiceExternalIps: AdmissionPlugin = {
  name: 'DenyServiceExternalIPs',
  validate(request) {
    if (!isFor(request, '', 'services') || request.subresource !== '' || (request.operation !== 'CREATE' && request.operation !== 'UPDATE')) return Promise.resolve(undefined)
    const old = (request.old as Service | undefined)?.spec?.externalIPs ?? []
    const added = ((request.object as Service).spec?.externalIPs ?? []).filter((ip) => !old.includes(ip))
    return Promise.resolve(added.length > 0 ? refuse('Use of external IPs is denied by admission control') : undefined)
  },
}
