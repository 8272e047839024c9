/** Each kind as a table and as what stands for any object's metadata: one, a list, a watch. */
import type { Case, Step } from '../exchange.ts'
import { creation, type Family } from './begin.ts'

const FORM = (as: string, version: string): string => `application/json;as=${as};v=${version};g=meta.k8s.io`

export const tables: Family = function* ({ seeds, next }) {
  for (const seed of seeds) {
    const object = seed.object(next())
    const path = `${seed.collection}/${object.metadata.name}`
    const list = `${seed.collection}?fieldSelector=metadata.name%3D${object.metadata.name}`
    const asking = (form: string, accept: string, asked: string): Step => ({ form, method: 'GET', path: asked, headers: { accept }, isAside: true })
    yield {
      family: 'tables', kind: seed.kind, object: path,
      steps: [
        creation(seed, object),
        ...['v1', 'v1beta1'].flatMap((version) => [asking('GET as a table', FORM('Table', version), path), asking('GET of a list as a table', FORM('Table', version), list)]),
        ...['None', 'Object'].map((included) => asking(`GET of a list as a table, ${included}`, FORM('Table', 'v1'), `${list}&includeObject=${included}`)),
        asking('GET as metadata', FORM('PartialObjectMetadata', 'v1'), path), asking('GET of a list as metadata', FORM('PartialObjectMetadataList', 'v1'), list),
        asking('watch of a table', FORM('Table', 'v1'), `${list}&watch=1&timeoutSeconds=1&resourceVersion=0`), asking('watch of metadata', FORM('PartialObjectMetadata', 'v1'), `${list}&watch=1&timeoutSeconds=1&resourceVersion=0`),
      ],
    } satisfies Case
  }
}
