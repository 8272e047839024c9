import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resolvConfFor } from './resolv-conf.ts'

const [own, resolved] = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']
const cases: [string, string | undefined, Record<string, string>, string][] = [
  ['what was given', '/etc/other', { [own]: 'nameserver 127.0.0.53\n', [resolved]: 'nameserver 10.0.0.1\n' }, '/etc/other'],
  ['the machine\'s own', undefined, { [own]: '# made by dhcp\nnameserver 10.0.0.1\nnameserver 127.0.0.1\n', [resolved]: 'nameserver 10.0.0.1\n' }, own],
  ['the servers that systemd-resolved asks, where the machine\'s own names the stub alone', undefined, { [own]: 'nameserver 127.0.0.53\noptions edns0\n', [resolved]: 'nameserver 10.0.0.1\n' }, resolved],
  ['the machine\'s own, where another resolver of its own answers', undefined, { [own]: 'nameserver 127.0.0.1\nnameserver ::1\n' }, own],
  ['the machine\'s own, which names nobody', undefined, { [own]: 'search here\n', [resolved]: 'nameserver 10.0.0.1\n' }, own],
  ['the machine\'s own, which is not there', undefined, {}, own],
]
for (const [what, given, files, expected] of cases) test(`pods without cluster DNS get ${what}`, () => assert.equal(resolvConfFor(given, (path) => files[path]), expected))
