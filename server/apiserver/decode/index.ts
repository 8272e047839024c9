/** Bodies to objects and objects to stored bytes. */
export { conformObject, type Conformed, type ConformOptions } from './conform.ts'
export { DECODE_LIMITS, decodeObject, decodeValue, duplicateFields, duplicateLines, parseBody, patchedKindError, yamlErrors, type Decoded, type DecodeLimits, type DecodeOptions, type Parsed, type Refused, type Strictness } from './decode.ts'
export { canonicalText, encodeCanonical, type EncodeOptions } from './encode-canonical.ts'
export { canonicalFreeText, printCanonical } from './print-canonical.ts'
