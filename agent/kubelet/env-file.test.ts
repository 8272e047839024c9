import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { envFileValue } from './env-file.ts'

const found: [string, string, string][] = [
  ['a value in quotes, as it stands', 'A=\'x $HOME \\n "y"\'\n', 'x $HOME \\n "y"'],
  ['the first of two', 'A=\'1\'\nA=\'2\'\n', '1'],
  ['several lines', 'B=\'b\'\nA=\'one\n # two\n\nthree\'\n', 'one\n # two\n\nthree'],
  ['comments, empty lines, what is before a name, a comment after a value', '# A=\'no\'\n\n \t\n  A=\'yes\' # A\nC=\'c\'#', 'yes'],
  ['a space after the sign makes it empty', 'A= \'x\'\n', ''],
  ['ends of lines as elsewhere', 'A=\'x\'\r\nB=\'y\'\r\n', 'x'],
  ['another\'s value only', 'AB=\'x\'\n', ''],
  ['nothing', '', ''],
  ['what follows is not read', 'A=\'x\'\nnonsense', 'x'],
]
for (const [what, text, value] of found) test(`found: ${what}`, () => assert.equal(envFileValue(text, 'A'), value))

const refused: [string, string][] = [
  ['nonsense\nA=\'x\'', 'invalid environment variable format at line 1: missing \'=\''], ['\n=\'x\'', 'invalid environment variable format at line 2: empty variable name'], ['A =\'x\'', 'invalid environment variable format at line 1: whitespace before \'=\' is not allowed'],
  ['A=x', 'invalid environment variable format at line 1: value must be enclosed in single quotes'], ['A="x"', 'invalid environment variable format at line 1: value must be enclosed in single quotes'],
  ['A=\'x\' y', 'invalid environment variable format at line 1: unexpected content after closing quote'], ['B=\'\nx\n', 'invalid environment variable format starting at line 1: unclosed single quote'], [`#${'x'.repeat(70_000)}`, 'line 1 is too long'],
]
for (const [text, message] of refused) test(`refused: ${message}`, () => assert.throws(() => envFileValue(text, 'A'), { code: 'ENV_FILE', message }))

test('what was written is read again, whatever is around it', () => {
  const value = fc.string().map((text) => text.replaceAll('\'', '').replaceAll('\r', ''))
  fc.assert(fc.property(fc.array(value), value, (others, own) => {
    const text = [...others.map((other, i) => `X${i}='${other}'`), `A='${own}'`, ...others.map((other, i) => `Y${i}='${other}' # end`)].join('\n')
    assert.equal(envFileValue(text, 'A'), own)
  }))
})
