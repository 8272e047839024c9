import { strictEqual } from 'node:assert'
import { test } from 'node:test'
import { revisionData } from './revisions.ts'

test('what a revision holds has its keys in order, whatever order the template has', () => {
  const text = '{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"a":"b","c":"d"}},"spec":{"containers":[{"image":"i","name":"n"}],"restartPolicy":"Always"}}}}'
  strictEqual(JSON.stringify(revisionData({ spec: { restartPolicy: 'Always', containers: [{ name: 'n', image: 'i' }] }, metadata: { labels: { c: 'd', a: 'b' } } })), text)
})
