/**
 * What we serve against upstream's own OpenAPI document of v1.36, where one is given: SKIFF_UPSTREAM_OPENAPI names the file
 * (`api/openapi-spec/swagger.json` of the release). Everything missing or different is listed; what stays different has its
 * reason here and its line in server/DIVERGENCE.md.
 */
import { deepStrictEqual } from 'node:assert'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { items } from './app.test-support.ts'
import { cluster } from './kinds/kinds.test-support.ts'

const FILE = process.env['SKIFF_UPSTREAM_OPENAPI']
const skip = FILE === undefined ? 'SKIFF_UPSTREAM_OPENAPI does not name upstream\'s document' : false

interface Gvk { group: string; version: string; kind: string }
interface Operation { operationId?: string; 'x-kubernetes-action'?: string; 'x-kubernetes-group-version-kind'?: Gvk; parameters?: { name?: string; $ref?: string; in?: string }[] }
interface Definition { properties?: Record<string, Record<string, unknown>>; required?: string[]; [key: string]: unknown }
interface Document { paths: Record<string, Record<string, Operation>>; definitions: Record<string, Definition>; parameters?: Record<string, { name: string; in: string }> }

/** Served by other means than the table of kinds, or told by the document without being part of the API. */
const PATHS_LEFT_OUT: Readonly<Record<string, string>> = {
  '/logs/': 'no log files are served', '/logs/{logpath}': 'no log files are served',
}

/** What upstream states once for no effect: granular is what maps are, and bytes are no list. */
const DEFINITIONS_LEFT_OUT: ReadonlySet<string> = new Set(['io.k8s.api.core.v1.PersistentVolumeClaimStatus', 'io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec'])

const upstream = (): Document => JSON.parse(readFileSync(FILE ?? '', 'utf8')) as Document
const ours = async (): Promise<Document> => JSON.parse((await cluster().call('GET', '/openapi/v2')).text) as Document

/** Helpers of the custom resource machinery add their group in the whole server; the bare table has none. */
const isOfTable = (path: string): boolean => !path.startsWith('/apis/apiextensions.k8s.io/')

function operations(document: Document): Map<string, Operation> {
  const found = new Map<string, Operation>()
  for (const [path, item] of Object.entries(document.paths)) {
    if (path in PATHS_LEFT_OUT || !isOfTable(path)) continue
    for (const [method, operation] of Object.entries(item)) if (method !== 'parameters') found.set(`${method} ${path}`, operation)
  }
  return found
}

const missing = <T>(wanted: ReadonlyMap<string, T>, there: ReadonlyMap<string, unknown>): string[] => [...wanted.keys()].filter((key) => !there.has(key)).sort()

/** A definition without prose and order: what clients decide by. Enumerations are prose in the document that is published; servers tell them (scripts/oracle.sh --family openapi). */
function shape({ properties, required, description: _d, ...rest }: Definition): unknown {
  const bare = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(bare)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).filter(([key, v]) => (key !== 'description' || typeof v !== 'string') && (key !== 'enum' || !Array.isArray(v))).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, v]) => [key, bare(v)]))
  }
  return bare({ ...rest, ...(properties && { properties }), ...(required && { required: required.toSorted() }) })
}

describe('upstream\'s document', { skip }, () => {
  test('every path and method is served, and none besides', async () => {
    const [theirs, own] = [operations(upstream()), operations(await ours())]
    deepStrictEqual({ missing: missing(theirs, own), besides: missing(own, theirs) }, { missing: [], besides: [] })
  })

  test('every operation has upstream\'s id, action and kind', async () => {
    const own = operations(await ours())
    const told = (o: Operation | undefined) => {
      const { group, version, kind } = o?.['x-kubernetes-group-version-kind'] ?? { group: '-', version: '-', kind: '-' }
      return [o?.operationId ?? '', o?.['x-kubernetes-action'] ?? '', group, version, kind].join(' ')
    }
    deepStrictEqual([...operations(upstream())].filter(([key, o]) => own.has(key) && told(o) !== told(own.get(key))).map(([key, o]) => `${key}: ${told(o)} is ${told(own.get(key))}`), [])
  })

  test('every definition has upstream\'s fields, types, required marks and extensions', async () => {
    const own = (await ours()).definitions
    const theirs = Object.entries(upstream().definitions).filter(([name]) => !name.includes('apiextensions'))
    deepStrictEqual(theirs.filter(([name]) => !own[name]).map(([name]) => name), [])
    const different = theirs.filter(([name, definition]) => own[name] && !DEFINITIONS_LEFT_OUT.has(name) && JSON.stringify(shape(definition)) !== JSON.stringify(shape(own[name])))
    deepStrictEqual(different.map(([name, definition]) => [name, shape(definition), shape(own[name] ?? {})]), [])
  })

  test('discovery has every resource with upstream\'s scope and verbs', async () => {
    const c = cluster()
    const wanted = new Map<string, { kind: string; verbs: Set<string> }>()
    const VERB: Readonly<Record<string, string>> = { list: 'list', watch: 'watch', watchlist: 'watch', post: 'create', put: 'update', patch: 'patch', delete: 'delete', deletecollection: 'deletecollection', get: 'get' }
    for (const [key, operation] of operations(upstream())) {
      const [, path = ''] = key.split(' ')
      const parts = path.split('/').filter((p) => p !== 'watch')
      const start = parts[1] === 'api' ? 3 : 4
      const isNamespaced = parts[start] === 'namespaces' && parts.length > start + 2 && parts[start + 1] === '{namespace}'
      const rest = parts.slice(isNamespaced ? start + 2 : start).filter((p) => p !== '')
      const gvk = operation['x-kubernetes-group-version-kind']
      if (!gvk || rest.length === 0 || rest.includes('{path}')) continue
      const resource = [rest[0], ...rest.slice(2)].join('/')
      const of = `${parts.slice(1, start).join('/')} ${resource}`
      const entry = wanted.get(of) ?? { kind: gvk.kind, verbs: new Set<string>() }
      wanted.set(of, entry)
      const verb = VERB[operation['x-kubernetes-action'] ?? '']
      if (verb) entry.verbs.add(verb)
    }
    const problems: string[] = []
    for (const groupVersion of new Set([...wanted.keys()].map((k) => k.split(' ')[0] ?? ''))) {
      const served = new Map(items<{ name: string; kind: string; verbs: string[] }>((await c.call('GET', `/${groupVersion}`)).json['resources']).map((r) => [r.name, r]))
      for (const [key, { kind, verbs }] of wanted) {
        const [of, resource = ''] = key.split(' ')
        if (of !== groupVersion) continue
        const found = served.get(resource)
        if (!found) problems.push(`${key}: missing`)
        else {
          if (found.kind !== kind) problems.push(`${key}: kind ${found.kind}, not ${kind}`)
          const lacking = [...verbs].filter((v) => !found.verbs.includes(v))
          if (lacking.length > 0) problems.push(`${key}: lacks ${lacking.join(', ')}`)
        }
      }
      for (const name of served.keys()) if (!wanted.has(`${groupVersion} ${name}`)) problems.push(`${groupVersion} ${name}: not upstream's`)
    }
    deepStrictEqual(problems.sort(), [])
  })
})
