/** OpenAPI documents of the table of kinds. */
export { createOpenApi, type OpenApi, type OpenApiOptions, type OpenApiRequest } from './openapi.ts'
