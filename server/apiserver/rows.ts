/** The table of kinds, indexed for requests and discovery. */
import { apiVersionOf } from '#api/types/index.ts'
import type { KindRow } from './kind.ts'

export const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const

export interface GroupVersion { group: string; version: string; rows: readonly KindRow[] }

export class Rows {
  readonly all: readonly KindRow[]
  readonly #byPath = new Map<string, KindRow>()
  readonly #groups = new Map<string, GroupVersion[]>()

  constructor(rows: readonly KindRow[]) {
    this.all = rows
    for (const row of rows) {
      this.#byPath.set(pathOf(row.ref.group, row.ref.version, row.ref.resource), row)
      const versions = this.#groups.get(row.ref.group) ?? []
      this.#groups.set(row.ref.group, versions)
      const found = versions.find((v) => v.version === row.ref.version)
      if (found) (found.rows as KindRow[]).push(row)
      else versions.push({ group: row.ref.group, version: row.ref.version, rows: [row] })
    }
  }

  find(group: string, version: string, resource: string): KindRow | undefined {
    return this.#byPath.get(pathOf(group, version, resource))
  }

  /** By kind, for what names objects rather than paths. */
  findKind(apiVersion: string, kind: string): KindRow | undefined {
    return this.all.find((r) => r.ref.kind === kind && apiVersionOf(r.ref) === apiVersion)
  }

  /** In table order; '' is the core group. The first version is the preferred one. */
  groups(): Iterable<[string, readonly GroupVersion[]]> { return this.#groups }
  versions(group: string): readonly GroupVersion[] { return this.#groups.get(group) ?? [] }
}

const pathOf = (group: string, version: string, resource: string): string => `${group}/${version}/${resource}`

export const servesVerb = (row: KindRow, verb: string): boolean => (row.verbs ?? ALL_VERBS).includes(verb)
