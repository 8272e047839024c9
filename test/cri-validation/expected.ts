/** Tests of critest that fail on any runtime here, by a part of their names. */
export const EXPECTED: readonly { name: string; reason: string }[] = [
  { name: 'public image with digest should be pulled and removed', reason: 'it names an image by its digest, whose bytes are not to be had without its registry' },
]
