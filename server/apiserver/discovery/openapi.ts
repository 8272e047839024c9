import type { PathHandler, VersionInfo } from './paths.ts'
import { noSuchResource } from '../http/status.ts'
import type { Rows } from '../rows.ts'
export function openapiHandler(_rows: Rows, _version: VersionInfo): PathHandler { return () => { throw noSuchResource() } }
