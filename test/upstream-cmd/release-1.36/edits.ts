/** What is changed in upstream's scripts of 1.36 before they run. Nothing is changed to suit skiff. */
import type { Edit } from '../release.ts'

export const EDITS: readonly Edit[] = [
  { files: ['test/cmd/generic-resources.sh'], reason: 'the file of the source, not of the network', from: 'https://raw.githubusercontent.com/kubernetes/kubernetes/master/', to: '' },
]
