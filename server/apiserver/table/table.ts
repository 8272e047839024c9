/** Server-side tables (meta.k8s.io/v1 Table): what `kubectl get` prints. Pure. */
import type { KubeObject } from '#api/types/index.ts'
import { createdAtColumn, nameColumn } from '../kinds/table-columns.ts'
import { badRequest } from '../http/status.ts'
import type { Column, KindRow, RowCondition } from '../kind.ts'

export type IncludeObject = 'None' | 'Metadata' | 'Object'

/** The query's `includeObject`. Throws 400. */
export function parseIncludeObject(text: string): IncludeObject {
  if (text === '' || text === 'Metadata') return 'Metadata'
  if (text === 'None' || text === 'Object') return text
  throw badRequest(`Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(text)}: must be 'Metadata', 'Object', 'None', or empty`)
}

export interface TableRow { cells: unknown[]; conditions?: readonly RowCondition[]; object?: unknown }

/** How rows of a kind are made. */
export interface RowShape { columns: readonly Column<KubeObject>[]; conditions?: (object: KubeObject) => readonly RowCondition[] | undefined }

/** A kind without columns of its own is listed as upstream's plain convertor does. */
export function shapeOf({ strategy }: KindRow): RowShape {
  return { columns: strategy.columns ?? [nameColumn(), createdAtColumn()], conditions: (object) => strategy.rowConditions?.(object) }
}

export function columnDefinitions(columns: readonly Column<KubeObject>[]): Record<string, unknown>[] {
  return columns.map((c) => ({ name: c.name, type: c.type, format: c.format ?? '', description: c.description, priority: c.priority }))
}

export function tableRow(shape: RowShape, object: KubeObject, include: IncludeObject, metaVersion: string, nowMs: number): TableRow {
  const conditions = shape.conditions?.(object)
  return {
    cells: shape.columns.map((c) => c.value(object, nowMs) ?? null),
    ...(conditions && { conditions }),
    object: include === 'None' ? null : include === 'Object' ? object : partialMetadata(object, metaVersion),
  }
}

export function partialMetadata(object: KubeObject, metaVersion: string): Record<string, unknown> {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${metaVersion}`, metadata: object.metadata ?? {} }
}

/** `columns` undefined: the client knows them already. */
export function table(columns: readonly Column<KubeObject>[] | undefined, metaVersion: string, metadata: Record<string, unknown>, rows: readonly TableRow[]): Record<string, unknown> {
  return { kind: 'Table', apiVersion: `meta.k8s.io/${metaVersion}`, metadata, columnDefinitions: columns ? columnDefinitions(columns) : null, rows }
}
