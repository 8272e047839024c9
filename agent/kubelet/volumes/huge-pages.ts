/** emptyDir volumes of large pages: which size of them, as the pod asks for it. Pure. */
import type { Pod } from '#api/types/index.ts'
import { quantityValue } from '#api/types/quantity.ts'
import { CodedError } from '#base/errors.ts'

const MEDIUM = 'HugePages'
const RESOURCE_PREFIX = 'hugepages-'

export const isHugePages = (medium: string | undefined): medium is string => medium === MEDIUM || (medium?.startsWith(`${MEDIUM}-`) ?? false)

/** `2Mi`: of `HugePages-2Mi`, or for `HugePages` the only one that the pod asks for. Throws where it asks for none, or for several. */
export function pageSize(medium: string, { spec }: Pod): string {
  const requests = [spec?.resources, ...[...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map((c) => c.resources)]
  const asked = requests.flatMap((r) => Object.keys(r?.requests ?? {})).filter((name) => name.startsWith(RESOURCE_PREFIX)).map((name) => name.slice(RESOURCE_PREFIX.length))
  const wanted = medium === MEDIUM ? undefined : medium.slice(MEDIUM.length + 1)
  const [found, ...others] = wanted === undefined ? asked : asked.filter((size) => quantityValue(size) === quantityValue(wanted))
  if (found === undefined) throw new CodedError('VOLUME_INVALID', `medium ${medium}: hugePages storage requested, but there is no resource request for huge pages`)
  if (others.some((size) => quantityValue(size) !== quantityValue(found))) throw new CodedError('VOLUME_INVALID', `medium: ${medium} can't be used if container requests multiple huge page sizes`)
  return found
}
