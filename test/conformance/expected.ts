/** Tests of upstream's 1.20 that fail, each with its reason: 1.36 does it differently, or this machine cannot do it. */
export interface Expected {
  /** What the test's full name contains. */
  readonly name: string
  readonly reason: string
}

export const EXPECTED: readonly Expected[] = [
]
