/** DeviceClass (resource.k8s.io), and what its selectors and configuration share with claims. */
import type { DeviceClass, DeviceSelector, OpaqueDeviceConfiguration } from '#api/types/index.ts'
import { checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, invalid, required, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { validateDriver, validateList, validateParameters } from './device-names.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, nameColumn } from './table-columns.ts'

const SELECTORS_MAX = 32
export const DEVICE_CONFIGS_MAX = 32
const EXPRESSION_BYTES_MAX = 10 * 1024
const PARAMETERS_BYTES_MAX = 10 * 1024

export const deviceClassStrategy: KindStrategy<DeviceClass> = {
  generateNameRule: 'path-segment',
  generation: (deviceClass, old) => !semanticEqual(deviceClass.spec, old.spec),
  validate: validateClass,
  validateUpdate: validateClass,
  columns: [nameColumn(), ageColumn()],
}

function validateClass(deviceClass: DeviceClass): FieldError[] {
  const { selectors, config, extendedResourceName: extended }: Partial<DeviceClass['spec']> = deviceClass.spec ?? {}
  return [
    ...validateSelectors('spec.selectors', selectors),
    ...validateList('spec.config', config, DEVICE_CONFIGS_MAX, (at, item) => validateConfiguration(at, item.opaque)),
    ...(extended === undefined || isExtendedResource(extended) ? [] : [invalid('spec.extendedResourceName', extended, 'must be a valid extended resource name')]),
  ]
}

/** A domain that is not Kubernetes' own, and a name that can stand in a quota. */
function isExtendedResource(name: string): boolean {
  const domain = name.split('/')[0] ?? ''
  const native = !name.includes('/') || domain === 'kubernetes.io' || domain.endsWith('.kubernetes.io')
  return !native && !name.startsWith('requests.') && checkQualifiedName(`requests.${name}`).length === 0
}

export const validateSelectors = (at: string, selectors: readonly DeviceSelector[] | undefined): FieldError[] =>
  validateList(at, selectors, SELECTORS_MAX, (here, { cel }) => {
    if (!cel) return [required(`${here}.cel`)]
    return Buffer.byteLength(cel.expression ?? '') > EXPRESSION_BYTES_MAX ? [tooLong(`${here}.cel.expression`, EXPRESSION_BYTES_MAX)] : []
  })

export function validateConfiguration(at: string, opaque: OpaqueDeviceConfiguration | undefined): FieldError[] {
  if (!opaque) return [required(`${at}.opaque`)]
  return [...validateDriver(`${at}.opaque.driver`, opaque.driver), ...validateParameters(`${at}.opaque.parameters`, opaque.parameters, PARAMETERS_BYTES_MAX)]
}

export const validateClassName = (at: string, name: string | undefined): FieldError[] => (name ? checkDnsSubdomain(name).map((m) => invalid(at, name, m)) : [required(at)])
