/** LeaseCandidate: who would take a lease in coordinated leader election (KEP-4355). */
import type { V1beta1LeaseCandidate as LeaseCandidate } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { immutable } from './check.ts'
import { validateLeaseStrategy } from './lease.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const STRATEGY = 'OldestEmulationVersion'
/** What upstream takes an unreadable version for. */
const ZERO = '0.0.0'
const NUMBER = '(0|[1-9]\\d*)'
const SEMVER = new RegExp(`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(-[0-9A-Za-z-.]+)?(\\+[0-9A-Za-z-.]+)?$`)

export const leaseCandidateStrategy: KindStrategy<LeaseCandidate> = {
  requiresRevision: true,
  generation: false,
  nameRule: 'config-key',
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
  if (emulationVersion !== '' && !SEMVER.test(emulationVersion)) out.push(invalid('spec.emulationVersion', emulationVersion, 'must be a valid semantic version'))
  if (binaryVersion === '') out.push(required('spec.binaryVersion'))
  else if (!SEMVER.test(binaryVersion)) out.push(invalid('spec.binaryVersion', binaryVersion, 'must be a valid semantic version'))
  if (SEMVER.test(emulationVersion) && binaryVersion !== '' && isOlder(SEMVER.test(binaryVersion) ? binaryVersion : ZERO, emulationVersion)) out.push(invalid('spec.binaryVersion', binaryVersion, 'must be greater than or equal to `emulationVersion`'))
  if (strategy === '') return [...out, required('spec.strategy')]
  if (strategy === STRATEGY && (emulationVersion === ZERO || !SEMVER.test(emulationVersion))) out.push(required('spec.emulationVersion', `must be specified when \`strategy\` is '${STRATEGY}'`))
  out.push(...validateLeaseStrategy('spec.strategy', strategy))
  return out
}

function isOlder(a: string, b: string): boolean {
  const numbers = (text: string): number[] => text.split(/[-+]/, 1).join('').split('.').map(Number)
  const [x, y] = [numbers(a), numbers(b)]
  const i = x.findIndex((n, k) => n !== y[k])
  return i >= 0 && (x[i] ?? 0) < (y[i] ?? 0)
}
