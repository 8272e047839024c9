import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { checkConfigKey, checkDns1035Label, checkDnsLabel, checkDnsSubdomain, checkEnvName, checkLabelValue, checkPathSegment, checkPortName, checkPortNumber, checkQualifiedName, maskTrailingDash } from './names.ts'

type Check = (value: string) => string[]

test('good names pass', () => {
  const table: [Check, string[]][] = [
    [checkDnsLabel, ['a', 'a-b', '1a', 'a'.repeat(63)]],
    [checkDnsSubdomain, ['a', 'a.b-c.d', 'kube-root-ca.crt']],
    [checkDns1035Label, ['web', 'a1']],
    [checkQualifiedName, ['app', 'App_1.x', 'example.com/Name', 'a/b']],
    [checkLabelValue, ['', 'a', 'A_b.c']],
    [checkPathSegment, ['system:node', 'a b']],
    [checkConfigKey, ['ca.crt', '.hidden', 'A_B']],
    [checkEnvName, ['PATH', '1x', 'a b', 'x.y']],
    [checkPortName, ['http', 'a-1']],
  ]
  deepStrictEqual(table.flatMap(([check, values]) => values.flatMap((v) => check(v))), [])
})

test('bad names are refused with upstream\'s words', () => {
  const table: [Check, string, string[]][] = [
    [checkDnsLabel, 'a.b', ['must not contain dots']],
    [checkDnsLabel, 'A', ["a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"]],
    [checkDnsLabel, 'a'.repeat(64), ['must be no more than 63 characters']],
    [checkDnsSubdomain, 'a_b', ["a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"]],
    [checkDns1035Label, '1a', ["a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"]],
    [checkQualifiedName, '/a', ['prefix part must be non-empty']],
    [checkLabelValue, 'a'.repeat(64), ['must be no more than 63 bytes']],
    [checkPathSegment, '..', ["may not be '..'"]],
    [checkPathSegment, 'a/b%', ["may not contain '/'", "may not contain '%'"]],
    [checkConfigKey, '..data', ["must not start with '..'"]],
    [checkEnvName, 'a=b', ["a valid environment variable name must consist only of printable ASCII characters other than '='"]],
    [checkPortName, '-a--b', ['must not contain consecutive hyphens', 'must not begin or end with a hyphen']],
    [checkPortName, '80', ['must contain at least one letter (a-z)']],
  ]
  deepStrictEqual(table.map(([check, value]) => check(value)), table.map(([, , messages]) => messages))
})

test('a newline at the end of a name does not slip through', () => {
  deepStrictEqual([checkDnsLabel, checkDnsSubdomain, checkQualifiedName, checkLabelValue].map((check) => check('a\n').length), [1, 1, 1, 1])
})

test('port numbers are whole and in range', () => {
  deepStrictEqual([0, 1, 65535, 65536, 1.5, '80'].map((p) => checkPortNumber(p).length), [1, 0, 0, 1, 1, 1])
})

test('a generateName may end in a dash', () => {
  deepStrictEqual(['web-', 'web', '-'].map(maskTrailingDash), ['wea', 'web', '-'])
})
