import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { boolText, formatLabels, humanDuration, listWithMore, since } from './table-columns.ts'

test('durations read as upstream prints them', () => {
  const [s, m, h, d] = [1000, 60_000, 3_600_000, 86_400_000]
  const table: [number, string][] = [
    [-5 * s, '<invalid>'], [-1 * s, '0s'], [0, '0s'], [59 * s, '59s'], [119 * s, '119s'], [2 * m, '2m'], [9 * m + 30 * s, '9m30s'], [10 * m + 30 * s, '10m'], [179 * m, '179m'], [3 * h, '3h'], [7 * h + 5 * m, '7h5m'], [8 * h + 5 * m, '8h'],
    [47 * h, '47h'], [2 * d, '2d'], [2 * d + 3 * h, '2d3h'], [7 * d + 23 * h, '7d23h'], [8 * d + 3 * h, '8d'], [729 * d, '729d'], [730 * d, '2y'], [800 * d, '2y70d'], [8 * 365 * d, '8y'],
  ]
  deepStrictEqual(table.map(([ms]) => [ms, humanDuration(ms)]), table)
  deepStrictEqual([since(undefined, 0), since('garbage', 0), since('2026-01-01T00:00:00Z', Date.UTC(2026, 0, 1, 0, 5))], ['<unknown>', '<unknown>', '5m'])
})

test('lists are cut after three, maps are sorted', () => {
  deepStrictEqual([listWithMore([], '<none>'), listWithMore(['a', 'b', 'c'], ''), listWithMore(['a', 'b', 'c', 'd', 'e'], '')], ['<none>', 'a,b,c', 'a,b,c + 2 more...'])
  deepStrictEqual([formatLabels({ b: '1', a: '2' }), formatLabels(undefined), boolText(undefined), boolText(false)], ['a=2,b=1', '<none>', '<unset>', 'False'])
})
