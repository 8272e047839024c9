/** LeaseCandidate: who would take a lease in coordinated leader election (KEP-4355). */
import type { V1beta1LeaseCandidate as LeaseCandidate } from '#api/types/index.ts'
import { checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { immutable } from './check.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const STRATEGY = 'OldestEmulationVersion'
const NUMBER = '(0|[1-9]\\d*)'
const SEMVER = new RegExp(`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(-[0-9A-Za-z-.]+)?(\\+[0-9A-Za-z-.]+)?$`)

export const leaseCandidateStrategy: KindStrategy<LeaseCandidate> = {
  generation: false,
  validate: validateCandidate,
  validateUpdate: (candidate, old) => [...validateCandidate(candidate), ...immutable('spec.leaseName', candidate.spec?.leaseName, old.spec?.leaseName)],
  columns: [
    nameColumn(),
    column('LeaseName', 'leaseName is the name of the lease for which this candidate is contending.', (o) => o.spec?.leaseName ?? ''),
    column('BinaryVersion', '', (o) => o.spec?.binaryVersion ?? ''),
    column('EmulationVersion', '', (o) => o.spec?.emulationVersion ?? ''),
    ageColumn(),
  ],
}

function validateCandidate(candidate: LeaseCandidate): FieldError[] {
  const spec: Partial<LeaseCandidate['spec']> = candidate.spec ?? {}
  const { leaseName = '', binaryVersion = '', emulationVersion = '', strategy = '' } = spec
  const out: FieldError[] = leaseName === '' ? [required('spec.leaseName')] : []
  for (const [key, version] of [['emulationVersion', emulationVersion], ['binaryVersion', binaryVersion]] as const) {
    if (version !== '' && !SEMVER.test(version)) out.push(invalid(`spec.${key}`, version, 'must be a valid semantic version'))
  }
  if (SEMVER.test(binaryVersion) && SEMVER.test(emulationVersion) && isOlder(binaryVersion, emulationVersion)) out.push(invalid('spec.binaryVersion', binaryVersion, 'must be greater than or equal to `emulationVersion`'))
  if (strategy === '') out.push(required('spec.strategy'))
  else if (strategy === STRATEGY) {
    if (emulationVersion === '') out.push(required('spec.emulationVersion', `must be specified when \`strategy\` is '${STRATEGY}'`))
    if (binaryVersion === '') out.push(required('spec.binaryVersion', `must be specified when \`strategy\` is '${STRATEGY}'`))
  } else {
    const wrong = checkQualifiedName(strategy)
    if (!strategy.includes('/')) out.push(invalid('spec.strategy', strategy, 'must be a fully qualified name'))
    else out.push(...wrong.map((m) => invalid('spec.strategy', strategy, m)))
  }
  return out
}

function isOlder(a: string, b: string): boolean {
  const numbers = (text: string): number[] => text.split(/[-+]/, 1).join('').split('.').map(Number)
  const [x, y] = [numbers(a), numbers(b)]
  const i = x.findIndex((n, k) => n !== y[k])
  return i >= 0 && (x[i] ?? 0) < (y[i] ?? 0)
}
