/** /openapi as a path handler; the documents are openapi/'s. */
import { builtinSchema } from '#api/schema/index.ts'
import { noSuchResource } from '../http/status.ts'
import { createOpenApi, type OpenApiOptions } from '../openapi/index.ts'
import type { Rows } from '../rows.ts'
import type { PathHandler, VersionInfo } from './paths.ts'

export function openapiHandler(rows: Rows, version: VersionInfo, added?: OpenApiOptions['added']): PathHandler {
  const serve = createOpenApi({ schema: builtinSchema, rows, gitVersion: version.gitVersion, ...(added && { added }) })
  return ({ info, query, headers }) => {
    const response = serve({ path: info.path, hash: query.has('hash') ? query.text('hash') : undefined, headers })
    if (!response) throw noSuchResource()
    return response
  }
}
