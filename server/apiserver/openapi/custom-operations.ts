/** Operations on a custom resource, as upstream tells them: not quite as those of built-in kinds. Pure. */
import type { KindRow } from '../kind.ts'
import { listModelOf } from './definitions.ts'
import { capital, DELETE_OPTIONS, groupPath, groupTag, LIST_OPTIONS, operationId, params, withArticle, WRITE_OPTIONS, type Operation } from './operations.ts'
import { nameParameter, parameter, type ParameterName } from './parameters.ts'

export function customOperationsOf(group: string, version: string, rows: readonly KindRow[]): Operation[] {
  return rows.filter(({ custom }) => custom).flatMap((row) => operationsOfRow(row, `${groupTag(group)}_${version}`))
}

/** The old paths of watches are served and not told; the same goes for what DeleteOptions may be sent with a deletecollection. */
function operationsOfRow(row: KindRow, tag: string): Operation[] {
  const { ref, model, subresources } = row
  const { group, version, kind, resource, namespaced } = ref
  const root = `/${groupPath(group, version)}`
  const collection = namespaced ? `${root}/namespaces/{namespace}/${resource}` : `${root}/${resource}`
  const id = operationId(row, tag)
  const place = [...(namespaced ? [parameter('namespace')] : []), parameter('pretty')]
  const common = { tag, kind: { group, version, kind }, consumes: 'object', produces: 'object' } as const
  const onCollection = (...options: ParameterName[]) => ({ ...common, path: collection, parameters: [...params(options), ...place] })
  const list = { method: 'get', description: `list objects of kind ${kind}`, action: 'list', answer: { model: listModelOf(row) }, codes: [200] } as const
  const status = { model: 'Status' }

  /** Get, put and patch of the object, or of a part of it. */
  const ofObject = (part?: 'status' | 'scale'): Operation[] => {
    const suffix = capital(part ?? '')
    const what = part === undefined ? 'the specified' : `${part} of the specified`
    const own = { model: part === 'scale' ? 'Scale' : model }
    const on = (...options: ParameterName[]) => ({ ...common, path: `${collection}/{name}${part === undefined ? '' : `/${part}`}`, parameters: [...params(options), nameParameter(kind), ...place], answer: own })
    return [
      { ...on('resourceVersion'), method: 'get', id: id('read', '', suffix), description: `read ${what} ${kind}`, action: 'get', codes: [200] },
      { ...on(...WRITE_OPTIONS), method: 'put', id: id('replace', '', suffix), description: `replace ${what} ${kind}`, action: 'put', body: { of: 'model', ...own }, codes: [200, 201] },
      { ...on(...WRITE_OPTIONS, 'force'), method: 'patch', id: id('patch', '', suffix), description: `partially update ${what} ${kind}`, action: 'patch', body: { of: 'patch', strategic: false }, codes: [200] },
    ]
  }

  return [
    ...(namespaced ? [{ ...common, ...list, path: `${root}/${resource}`, id: id('list', '', 'ForAllNamespaces').replace(`Namespaced${kind}`, kind), parameters: params([...LIST_OPTIONS, 'pretty']) }] : []),
    { ...onCollection(...LIST_OPTIONS), ...list, id: id('list') },
    { ...onCollection(...WRITE_OPTIONS), method: 'post', id: id('create'), description: `create ${withArticle(kind)}`, action: 'post', body: { of: 'model', model }, answer: { model }, codes: [200, 201, 202] },
    { ...onCollection(...LIST_OPTIONS), method: 'delete', id: id('delete', 'Collection'), description: `delete collection of ${kind}`, action: 'deletecollection', answer: status, codes: [200] },
    ...ofObject(),
    { ...common, path: `${collection}/{name}`, parameters: [...params(DELETE_OPTIONS), nameParameter(kind), ...place], method: 'delete', id: id('delete'), description: `delete ${withArticle(kind)}`, action: 'delete', body: { of: 'deleteOptions' }, answer: status, codes: [200, 202] },
    ...(['status', 'scale'] as const).filter((part) => subresources.includes(part)).flatMap(ofObject),
  ]
}
