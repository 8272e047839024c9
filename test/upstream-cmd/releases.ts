/** The releases of upstream whose suites run here, by name. */
import { EDITS as EDITS_1_20 } from './release-1.20/edits.ts'
import { EXPECTED as EXPECTED_1_20 } from './release-1.20/expected.ts'
import { EDITS as EDITS_1_36 } from './release-1.36/edits.ts'
import { EXPECTED as EXPECTED_1_36 } from './release-1.36/expected.ts'
import type { Release } from './release.ts'

const RELEASES: readonly Release[] = [
  { name: '1.20', edits: EDITS_1_20, expected: EXPECTED_1_20, clientCa: 'hack/testdata/ca.crt' },
  { name: '1.36', edits: EDITS_1_36, expected: EXPECTED_1_36, clientCa: 'hack/testdata/ca/ca.crt' },
]

/** @throws Error if its suites are not known here. */
export function releaseNamed(name: string): Release {
  const found = RELEASES.find((release) => release.name === name)
  if (!found) throw new Error(`no release "${name}": the suites of ${RELEASES.map((r) => r.name).join(' and ')} are known`)
  return found
}
