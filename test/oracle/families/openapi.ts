/** The OpenAPI documents, compared piece by piece, with definitions of many shapes among them. */
import { rows } from '#server/apiserver/registry.ts'
import { SHAPED } from '../shapes.ts'
import { CUSTOM_VERSIONS } from '../definitions.ts'
import type { Family } from './begin.ts'

const groupVersion = (group: string, version: string): string => (group === '' ? `api/${version}` : `apis/${group}/${version}`)
const OTHERS = ['api', 'apis', 'version', '.well-known/openid-configuration', 'openid/v1/jwks']

export const openapi: Family = function* () {
  const refs = rows.map(({ ref }) => ref)
  const names = new Set([...OTHERS, ...refs.flatMap(({ group, version }) => [groupVersion(group, version), ...(group === '' ? [] : [`apis/${group}`])]), ...[...SHAPED, ...CUSTOM_VERSIONS].map(([group, version]) => groupVersion(group, version))])
  for (const path of ['/openapi/v3', ...[...names].map((name) => `/openapi/v3/${name}`), '/openapi/v2']) {
    yield { family: 'openapi', kind: path, object: '', steps: [{ form: 'GET of a document', method: 'GET', path, isDocument: true }] }
  }
}
