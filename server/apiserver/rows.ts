/**
 * The table of kinds, indexed for requests and discovery. Built-in rows never change; those of custom resources come, change and
 * go while the server runs, and whoever keeps something made of the table is told.
 */
import { apiVersionOf } from '#api/types/index.ts'
import type { KindRow } from './kind.ts'
import { compareVersions } from './version-order.ts'

export const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const

export interface GroupVersion { group: string; version: string; rows: readonly KindRow[] }

type ByPath = ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<string, KindRow>>>

interface State {
  all: readonly KindRow[]
  /** By group, version, resource: no text is put together for each look-up. */
  byPath: ByPath
  groups: ReadonlyMap<string, readonly GroupVersion[]>
}

export class Rows {
  readonly #builtin: readonly KindRow[]
  readonly #custom = new Map<string, readonly KindRow[]>()
  readonly #listeners: (() => void)[] = []
  #generation = 0
  /** Made when first asked for after a change: definitions often come in dozens. */
  #state: State | undefined

  constructor(rows: readonly KindRow[]) { this.#builtin = rows }

  get all(): readonly KindRow[] { return this.#current().all }
  /** Grows with each change: tells whether something derived is still current. */
  get generation(): number { return this.#generation }

  find(group: string, version: string, resource: string): KindRow | undefined {
    return this.#current().byPath.get(group)?.get(version)?.get(resource)
  }

  /** By kind, for what names objects rather than paths. */
  findKind(apiVersion: string, kind: string): KindRow | undefined {
    return this.all.find((r) => r.ref.kind === kind && apiVersionOf(r.ref) === apiVersion)
  }

  /** In table order, custom groups after the built-in ones by name; '' is the core group. The first version is the preferred one. */
  groups(): Iterable<[string, readonly GroupVersion[]]> { return this.#current().groups }
  versions(group: string): readonly GroupVersion[] { return this.#current().groups.get(group) ?? [] }

  /** Rows of one definition, in place of those it had; none: it is gone. A group version that has built-in kinds has no others. */
  put(owner: string, rows: readonly KindRow[]): void {
    if (rows.length > 0) this.#custom.set(owner, rows)
    else if (!this.#custom.delete(owner)) return
    this.#state = undefined
    this.#generation++
    for (const listener of this.#listeners) listener()
  }

  /** Called at once after each change. */
  onChange(listener: () => void): void { this.#listeners.push(listener) }

  #current(): State { return (this.#state ??= index(this.#builtin, this.#custom)) }
}

function index(builtin: readonly KindRow[], custom: ReadonlyMap<string, readonly KindRow[]>): State {
  const byPath = new Map<string, Map<string, Map<string, KindRow>>>()
  for (const row of builtin) enter(byPath, row)
  const own = new Set(builtin.map(({ ref }) => apiVersionOf(ref)))
  const more = [...custom].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, rows]) => rows).filter((row) => !own.has(apiVersionOf(row.ref)))
  for (const row of more) enter(byPath, row)
  const groups = new Map<string, GroupVersion[]>()
  for (const row of builtin) place(groups, row)
  const groupNames = [...new Set(more.map((row) => row.ref.group))].sort()
  for (const name of groupNames) {
    const isOwn = !groups.has(name)
    for (const row of more) if (row.ref.group === name) place(groups, row)
    if (isOwn) groups.get(name)?.sort((a, b) => compareVersions(b.version, a.version))
  }
  return { all: [...builtin, ...more], byPath, groups }
}

function enter(byPath: Map<string, Map<string, Map<string, KindRow>>>, row: KindRow): void {
  const { group, version, resource } = row.ref
  const versions = byPath.get(group) ?? new Map<string, Map<string, KindRow>>()
  byPath.set(group, versions)
  const resources = versions.get(version) ?? new Map<string, KindRow>()
  versions.set(version, resources)
  resources.set(resource, row)
}

function place(groups: Map<string, GroupVersion[]>, row: KindRow): void {
  const { group, version } = row.ref
  const versions = groups.get(group) ?? []
  groups.set(group, versions)
  const found = versions.find((v) => v.version === version)
  if (found) (found.rows as KindRow[]).push(row)
  else versions.push({ group, version, rows: [row] })
}

export const servesVerb = (row: KindRow, verb: string): boolean => (row.verbs ?? ALL_VERBS).includes(verb)
