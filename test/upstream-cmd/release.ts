/** What differs between the releases of upstream whose suites run here. */

/** A change of upstream's scripts before they run. */
export interface Edit {
  readonly files: readonly string[]
  readonly from: string | RegExp
  readonly to: string | ((found: string) => string)
  readonly reason: string
  /** For which minor versions of kubectl; default: all. */
  readonly kubectl?: (minor: number) => boolean
}

/** Lines that fail, and why. */
export interface Expected {
  readonly suite: string
  /** `file.sh:line` of the release. */
  readonly at: readonly string[]
  readonly reason: string
  /** With which minor versions of kubectl; default: all. */
  readonly kubectl?: (minor: number) => boolean
  /** It fails now and then. */
  readonly sometimes?: boolean
}

export interface Release {
  readonly name: string
  readonly edits: readonly Edit[]
  readonly expected: readonly Expected[]
  /** The authority of clients' certificates, in the source. */
  readonly clientCa: string
}

/** `file.sh:line` of each. */
export const lines = (file: string, ...numbers: number[]): string[] => numbers.map((n) => `${file}.sh:${n}`)
