/** JSON from other servers: as deep as a client's may be, so that no recursion over it can go too deep. Pure. */
import { DECODE_LIMITS } from '../decode/decode.ts'
import { measureJson } from '../decode/json-scan.ts'

/** Undefined: it is no JSON, or too deep. */
export function parseBoundedJson(bytes: Buffer): unknown {
  if (measureJson(bytes).depth > DECODE_LIMITS.maxDepth) return undefined
  try {
    return JSON.parse(bytes.toString()) as unknown
  } catch {
    // Said by the caller, who knows what it was meant to be.
    return undefined
  }
}
