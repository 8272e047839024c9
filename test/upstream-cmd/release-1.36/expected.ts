/** Lines of upstream's scripts of 1.36 that fail against skiff, each with its reason. */
import { lines, type Expected } from '../release.ts'

export const EXPECTED: readonly Expected[] = [
  { suite: 'pod', at: lines('core', 617, 642, 655), reason: 'a Node is replaced without the podCIDR it was given, which upstream refuses, too; only that its controller manager gives none there (no --allocate-node-cidrs)' },
]
