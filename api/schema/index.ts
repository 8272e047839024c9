/** The built-in types' schema; see schema.ts for the contract. */
import { brotliDecompressSync } from 'node:zlib'
import { createSchemaSet } from './schema-set.ts'
import { packedDocs } from './generated/docs.ts'
import { structure } from './generated/structure.ts'

export type * from './schema.ts'
export { createSchemaSet, kindOf, type SchemaSource } from './schema-set.ts'

/** Nothing is parsed until the first model is asked for. */
export const builtinSchema = createSchemaSet({
  structure,
  docs: () => brotliDecompressSync(Buffer.from(packedDocs(), 'base64')).toString(),
})
