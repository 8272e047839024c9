/** Printer columns of a custom resource's version. Cells as apiextensions' table convertor makes them. */
import type { CustomResourceColumnDefinition, KubeObject } from '#api/types/index.ts'
import type { Column } from '../kind.ts'
import { ageColumn, nameColumn, since } from '../kinds/table-columns.ts'
import { canonicalJson } from './canonical-json.ts'
import { parseJsonPath } from './json-path.ts'
import { isJsonObject } from './schema/node.ts'

export function customColumns(definitions: readonly CustomResourceColumnDefinition[] | undefined): Column<KubeObject>[] {
  if (!definitions?.length) return [nameColumn(), { ...ageColumn(), type: 'date' }]
  return [nameColumn(), ...definitions.map(columnOf)]
}

function columnOf(definition: CustomResourceColumnDefinition): Column<KubeObject> {
  const { name, type, format, description, priority = 0, jsonPath } = definition
  const path = parseJsonPath(jsonPath)
  return {
    name, type: type as Column<KubeObject>['type'], ...(format !== undefined && { format }), priority,
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    value(object, nowMs) {
      const [first] = path.ok ? path.find(object).map((value) => ({ value })) : []
      return first && (type === 'string' ? printed(first.value) : cell(type, first.value, nowMs))
    },
  }
}

/** As client-go prints what a path found. */
function printed(value: unknown): string {
  if (Array.isArray(value) || isJsonObject(value)) return canonicalJson(value)
  return value === null ? '<no value>' : typeof value === 'string' ? value : JSON.stringify(value)
}

/** Undefined: the value does not fit the column. */
function cell(type: string, value: unknown, nowMs: number): unknown {
  switch (type) {
    case 'integer': return typeof value === 'number' ? Math.trunc(value) : undefined
    case 'number': return typeof value === 'number' ? value : undefined
    case 'boolean': return typeof value === 'boolean' ? value : undefined
    case 'date': return typeof value === 'string' ? dateText(value, nowMs) : undefined
    default: return undefined
  }
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

function dateText(text: string, nowMs: number): string {
  if (text === '' || text === 'null') return '<unknown>'
  return RFC3339.test(text) && Number.isFinite(Date.parse(text)) ? since(text, nowMs) : '<invalid>'
}
