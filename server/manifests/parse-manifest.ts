/** One manifest file's text to the objects in it. Pure. */
import type { KubeObject } from '#api/types/index.ts'
import { parseYaml } from '../apiserver/decode/yaml.ts'

export type ParsedManifest = { ok: true; objects: KubeObject[] } | { ok: false; problem: string }

const LIMITS = { maxDepth: 100, maxValues: 1_000_000 }
const OBJECTS_MAX = 2_000

/** Documents are separated as kubectl separates them; Lists stand for their items. One bad document spoils the file: half of it is not what was meant. */
export function parseManifest(text: string): ParsedManifest {
  const objects: KubeObject[] = []
  let line = 1
  for (const [i, document] of text.replace(/^\uFEFF/, '').split(/^---(?=\s|$)/m).entries()) {
    const where = `document ${i + 1} (line ${line})`
    line += document.split('\n').length - 1
    if (document.split('\n').every((l) => /^\s*(#.*)?$/.test(l))) continue
    const parsed = parseYaml(document, LIMITS)
    if (!parsed.ok) return { ok: false, problem: `${where}: ${parsed.message}` }
    if (parsed.duplicates.length > 0) return { ok: false, problem: `${where}: ${parsed.duplicates.join(', ')}` }
    if (parsed.value === null || parsed.value === undefined) continue
    const problem = collect(parsed.value, objects)
    if (problem !== undefined) return { ok: false, problem: `${where}: ${problem}` }
    if (objects.length > OBJECTS_MAX) return { ok: false, problem: `it holds more than ${OBJECTS_MAX} objects: split it` }
  }
  return { ok: true, objects }
}

/** Returns what is wrong. */
function collect(value: unknown, objects: KubeObject[]): string | undefined {
  if (!isRecord(value)) return 'it is not an object'
  const { apiVersion, kind, metadata, items } = value
  if (typeof apiVersion !== 'string' || apiVersion === '') return 'apiVersion is missing'
  if (typeof kind !== 'string' || kind === '') return 'kind is missing'
  if (kind.endsWith('List') && Array.isArray(items)) {
    for (const [i, item] of items.entries()) {
      const problem = collect(item, objects)
      if (problem !== undefined) return `items[${i}]: ${problem}`
    }
    return undefined
  }
  if (!isRecord(metadata) || typeof metadata['name'] !== 'string' || metadata['name'] === '') return `${kind} has no metadata.name`
  if (metadata['namespace'] !== undefined && typeof metadata['namespace'] !== 'string') return `${kind} ${metadata['name']}: metadata.namespace is not a text`
  objects.push({ ...value, metadata: asWritten(metadata) } as unknown as KubeObject)
  return undefined
}

/** Of what was copied out of a cluster (`kubectl get -o yaml`): what only a server sets is not for anybody to apply. */
function asWritten(metadata: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(metadata).filter(([name]) => !SERVER_FIELDS.has(name)))
}

const SERVER_FIELDS: ReadonlySet<string> = new Set(['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'managedFields', 'selfLink'])

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
