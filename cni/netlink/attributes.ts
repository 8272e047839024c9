/** Netlink attributes (linux/netlink.h `struct nlattr`): a type, a value, padding to four bytes. Pure. */

const HEADER_BYTES = 4
/** Without the flags for nested ones and the byte order. */
const TYPE_MASK = 0x3fff

export function align(length: number): number { return (length + 3) & ~3 }

export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(align(HEADER_BYTES + value.length))
  bytes.writeUInt16LE(HEADER_BYTES + value.length, 0)
  bytes.writeUInt16LE(type, 2)
  value.copy(bytes, HEADER_BYTES)
  return bytes
}

/** By type, of several of one type the last. What is cut off is left out. */
export function readAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  for (let at = 0; at + HEADER_BYTES <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < HEADER_BYTES || at + length > bytes.length) break
    found.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + HEADER_BYTES, at + length))
    at += align(length)
  }
  return found
}
