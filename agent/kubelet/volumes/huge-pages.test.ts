import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aContainer, aPod } from '../testing/builders.ts'
import { isHugePages, pageSize } from './huge-pages.ts'

const asks = (name: string, ...sizes: string[]) => aContainer(name, { resources: { requests: Object.fromEntries(sizes.map((size) => [`hugepages-${size}`, '4Mi'])) } })

test('large pages are of the size that the volume or else the pod names; a pod that asks for none, or for several and does not say which, has none', () => {
  const of = (medium: string, spec: object) => {
    try {
      return pageSize(medium, aPod(spec))
    } catch (error) {
      return (error as Error).message
    }
  }
  const both = { containers: [asks('a', '2Mi')], initContainers: [asks('i', '1Gi')] }
  assert.deepStrictEqual([
    of('HugePages', { containers: [asks('a', '2Mi'), asks('b', '2Mi')] }), of('HugePages', { resources: { requests: { 'hugepages-1Gi': '1Gi' } } }), of('HugePages-1Gi', both), of('HugePages-2048Ki', both),
    of('HugePages', both), of('HugePages', {}), of('HugePages-1Gi', { containers: [asks('a', '2Mi')] }),
  ], [
    '2Mi', '1Gi', '1Gi', '2Mi', 'medium: HugePages can\'t be used if container requests multiple huge page sizes',
    'medium HugePages: hugePages storage requested, but there is no resource request for huge pages', 'medium HugePages-1Gi: hugePages storage requested, but there is no resource request for huge pages',
  ])
  assert.deepStrictEqual([undefined, '', 'Memory', 'HugePages', 'HugePages-2Mi', 'HugePagesX'].map(isHugePages), [false, false, false, true, true, false])
})
