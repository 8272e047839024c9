/** A device's number as stat(2) gives it: the C library's dev_t (gnu_dev_major, gnu_dev_minor). The counterpart of `makeNode`'s. */
export function deviceOf(number: bigint): { major: number; minor: number } {
  return { major: Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn)), minor: Number((number & 0xffn) | ((number >> 12n) & 0xffff_ff00n)) }
}
