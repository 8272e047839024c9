import assert from 'node:assert/strict'
import { test } from 'node:test'
import { aContainer, aPod } from '../testing/builders.ts'
import { nestedMountPoints } from './nested-mounts.ts'

const of = (...mounts: [string, string][]) => nestedMountPoints('v', aPod({ containers: [aContainer('app', { volumeMounts: mounts.map(([name, mountPath]) => ({ name, mountPath })) })] }))

const table: [string, [string, string][], string[]][] = [
  ['nothing below it', [['v', '/etc/app'], ['w', '/etc/app2'], ['w', '/etc']], []],
  ['one below it', [['w', '/etc/app/run/'], ['v', '/etc//app/']], ['run']],
  ['one deeper', [['v', '/d'], ['w', '/d/a/b']], ['a/b']],
  ['what is on another one of them is that one\'s', [['v', '/dir'], ['w', '/dir/nested'], ['x', '/dir/nested/double'], ['y', '/dir/nested-vol'], ['z', '/dir/nested.vol'], ['u', '/dir/nested2']], ['nested', 'nested-vol', 'nested.vol', 'nested2']],
  ['mounted in several places, each', [['v', '/a'], ['v', '/b'], ['w', '/a/x'], ['w', '/b/y']], ['x', 'y']],
]
for (const [what, mounts, expected] of table) test(`directories that a volume has to have for others: ${what}`, () => assert.deepStrictEqual(of(...mounts), expected))

test('a mount outside the container makes none', () => assert.throws(() => of(['v', '../x'], ['w', '../x/y']), { message: 'invalid container mount point ../x' }))
