/** Writes everything that is generated from dependencies at build time: API types, then the schema. */
await import('./generate-types.ts')
await import('./generate-schema.ts')
