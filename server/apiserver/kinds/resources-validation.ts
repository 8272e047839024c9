/** Requests and limits of a container or a whole pod (upstream `validateResourceRequirements`). */
import type { ResourceRequirements } from '#api/types/index.ts'
import { compareQuantity, tryParseQuantity } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { isHugePages, mayOvercommit, validateAmount, validateContainerResourceName, validateHugePages } from './resource-name.ts'

/** `checkName`: which resources may be named there. */
export function validateResources(at: string, resources: ResourceRequirements, checkName = validateContainerResourceName): FieldError[] {
  const out: FieldError[] = []
  const { limits = {}, requests = {} } = resources
  const each = (field: string, name: string, value: string): FieldError[] => [...checkName(field, name), ...validateAmount(field, name, value), ...validateHugePages(field, name, value)]
  for (const [name, value] of Object.entries(limits)) out.push(...each(`${at}.limits[${name}]`, name, value))
  for (const [name, value] of Object.entries(requests)) {
    out.push(...each(`${at}.requests[${name}]`, name, value))
    const limit = Object.hasOwn(limits, name) ? limits[name] : undefined
    if (limit === undefined) {
      if (!mayOvercommit(name)) out.push(required(`${at}.limits`, 'Limit must be set for non overcommitable resources'))
      continue
    }
    if (!tryParseQuantity(value).ok || !tryParseQuantity(limit).ok) continue
    const order = compareQuantity(value, limit)
    if (!mayOvercommit(name) && order !== 0) out.push(invalid(`${at}.requests`, value, `must be equal to ${name} limit of ${limit}`))
    else if (order > 0) out.push(invalid(`${at}.requests`, value, `must be less than or equal to ${name} limit of ${limit}`))
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)]
  if (names.some(isHugePages) && !names.includes('cpu') && !names.includes('memory')) out.push(forbidden(at, 'HugePages require cpu or memory'))
  return out
}
