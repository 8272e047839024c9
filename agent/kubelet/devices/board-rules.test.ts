import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boardDevices, directoriesOf, parseBoardRule, pathsOfIds } from './board-rules.ts'

const BOARD = ['/dev/gpiochip0', '/dev/gpiochip1', '/dev/i2c-1', '/dev/ttyUSB10', '/dev/ttyUSB2', '/dev/ttyAMA0', '/dev/tty1', '/dev/video0', '/dev/serial/by-id/x', '/dev/null']
const ids = (rule: string) => boardDevices(parseBoardRule(rule), BOARD).map((d) => d.id)

test('kinds: wires of all chips are one device, ports and cameras one each; shared as often as is said', () => {
  assert.deepStrictEqual(['gpio', 'gpio:2', 'i2c', 'spi', 'serial', 'video:2'].map(ids), [['all'], ['all::0', 'all::1'], ['all'], [], ['/dev/ttyAMA0', '/dev/ttyUSB2', '/dev/ttyUSB10'], ['/dev/video0::0', '/dev/video0::1']])
  assert.equal(parseBoardRule('gpio').resource, 'skiff.io/gpio')
})

test('rules of one\'s own: each path that fits is a device', () => {
  assert.deepStrictEqual(['example.com/radio=/dev/ttyUSB*', 'example.com/bus=/dev/i2c-1:3', 'example.com/any=/dev/tty1+/dev/serial/by-id/*', 'example.com/dot=/dev/t.y1'].map(ids), [
    ['/dev/ttyUSB2', '/dev/ttyUSB10'], ['/dev/i2c-1::0', '/dev/i2c-1::1', '/dev/i2c-1::2'], ['/dev/serial/by-id/x', '/dev/tty1'], [],
  ])
  assert.deepStrictEqual(directoriesOf([parseBoardRule('serial'), parseBoardRule('example.com/x=/dev/serial/by-id/*')]), ['/dev', '/dev/serial/by-id'])
})

test('a container gets the nodes behind its ids, each once', () => {
  const paths = (rule: string, ...of: string[]) => pathsOfIds(parseBoardRule(rule), of, BOARD)
  assert.deepStrictEqual([paths('gpio:4', 'all::3'), paths('serial', '/dev/ttyUSB2'), paths('video:2', '/dev/video0::0', '/dev/video0::1'), paths('serial', '/dev/ttyUSB7')], [['/dev/gpiochip0', '/dev/gpiochip1'], ['/dev/ttyUSB2'], ['/dev/video0'], []])
})

const refused: [string, RegExp][] = [
  ['radar', /neither one of gpio, i2c, spi, serial, video nor of the form/], ['gpio:0', /shared by 1 to 1000/], ['gpio:5000', /shared by/], ['=/dev/x', /is not a resource name/], ['radio=/dev/x', /"radio" is not a resource name/], ['kubernetes.io/x=/dev/x', /is not a resource name/],
  ['example.com/x=/etc/passwd', /is not a path below \/dev/], ['example.com/x=/dev/../etc/x', /is not a path/], ['example.com/x=/dev/*/x', /is not a path/], ['example.com/x=', /is not a path/],
]
for (const [rule, says] of refused) test(`refused: ${rule}`, () => assert.throws(() => parseBoardRule(rule), says))
