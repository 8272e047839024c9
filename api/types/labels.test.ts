import { deepStrictEqual, throws } from 'node:assert'
import { test } from 'node:test'
import { compileLabelSelector, describeLabelSelector, formatLabelSelector, matchesSet, parseLabelSelector, type Labels } from './labels.ts'

const matches = (text: string, labels: Labels | undefined): boolean | string => {
  const result = parseLabelSelector(text)
  return result.ok ? result.selector.matches(labels) : result.message
}

test('every operator of the string form matches as upstream does', () => {
  const labels = { app: 'web', tier: 'front', n: '5', empty: '' }
  const table: [string, boolean][] = [
    ['', true], ['app', true], ['gone', false], ['!app', false], ['!gone', true], ['! gone', true],
    ['app=web', true], ['app==web', true], ['app = web', true], ['app!=web', false], ['gone!=web', true], ['gone=web', false],
    ['app in (web,api)', true], ['app in (api)', false], ['app notin (api)', true], ['gone notin (api)', true], ['app notin (web)', false], ['app in(web)', true],
    ['app=web,tier=front', true], ['app=web,tier=back', false], ['n>4', true], ['n>5', false], ['n<6', true], ['app>1', false], ['gone<1', false],
    ['empty=', true], ['app=', false], ['empty in (,a)', true], ['empty in (a,)', true], ['empty in ()', true], ['app in ()', false], ['in', false], ['in=in', false],
    ['example.com/x!=y', true], ['toString', false],
  ]
  deepStrictEqual(table.map(([text]) => [text, matches(text, labels)]), table)
  deepStrictEqual(matches('app', undefined), false)
})

test('bad selectors are refused with upstream\'s words', () => {
  const table: [string, string][] = [
    ['app in web', "unable to parse requirement: found 'web' expected: '('"],
    ['app,', "found '', expected: identifier after ','"],
    [',app', "found ',', expected: !, identifier, or 'end of string'"],
    ['app web', "unable to parse requirement: found 'web', expected: in, notin, =, ==, !=, gt, lt"],
    ['!', "unable to parse requirement: found '', expected: identifier"],
    ['!a=b', "found '=', expected: ',' or 'end of string'"],
    ['a=b c', "found 'c', expected: ',' or 'end of string'"],
    ['a==(b', "unable to parse requirement: found '(', expected: identifier"],
    ['a in (b', "unable to parse requirement: found '', expected: ',' or ')'"],
    ['a in (b c)', "unable to parse requirement: found 'c', expected: ',' or ')'"],
    ['a>x', "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"],
    ['-a', "unable to parse requirement: <nil>: Invalid value: \"-a\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"],
    ['a=b@', "unable to parse requirement: values[0][a]: Invalid value: \"b@\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"],
  ]
  deepStrictEqual(table.map(([text]) => [text, matches(text, {})]), table)
})

test('a LabelSelector that is absent matches nothing, an empty one everything', () => {
  deepStrictEqual([undefined, {}].map((s) => compileLabelSelector(s).matches({ a: 'b' })), [false, true])
  const selector = { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['b', 'a'] }, { key: 'x', operator: 'Exists' }] }
  deepStrictEqual([{ app: 'web', x: '' }, { app: 'web' }, { app: 'web', x: '', tier: 'a' }].map((l) => compileLabelSelector(selector).matches(l)), [true, false, false])
  deepStrictEqual([describeLabelSelector(selector), describeLabelSelector({}), describeLabelSelector(undefined)], ['app=web,tier notin (a,b),x', '<none>', '<none>'])
  throws(() => compileLabelSelector({ matchExpressions: [{ key: 'a', operator: 'Near' }] }), RangeError)
})

test('printing a selector and parsing it again yields the same requirements', () => {
  for (const text of ['a=b,c!=d,e in (f,g),!h,i,j notin (k),l>3', '']) {
    const first = parseLabelSelector(text)
    const again = first.ok ? parseLabelSelector(formatLabelSelector(first.selector)) : first
    deepStrictEqual(again.ok && again.selector.requirements, first.ok && first.selector.requirements)
  }
})

test('a plain map is matched key by key, inherited names do not count', () => {
  deepStrictEqual([matchesSet({ a: 'b' }, { a: 'b', c: 'd' }), matchesSet({ a: 'b' }, {}), matchesSet({}, undefined), matchesSet({ constructor: 'x' }, {})], [true, false, true, false])
})
