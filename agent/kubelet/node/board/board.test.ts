/** Boards as trees of files, and what their nodes say of them. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { createBoardWatch } from './board-watch.ts'
import { openBoardReader, type BoardFacts } from './facts.ts'
import { decideSigns, type Sign } from './signs.ts'

const NOW = Date.UTC(2026, 0, 1)
const NOTHING: BoardFacts = { zones: [], cards: [], ext4: [], isReadOnly: false, hasBatteryClock: true }
const signs = (facts: Partial<BoardFacts>, more: { before?: [string, boolean][]; nowMs?: number } = {}) => decideSigns({ facts: { ...NOTHING, ...facts }, before: new Map(more.before), nowMs: more.nowMs ?? NOW, clockMsMin: Date.UTC(2025, 0, 1) })
const brief = (all: readonly Sign[]) => all.map((s) => `${s.type} ${s.on ? 'True' : 'False'} ${s.reason}`)

function tree(t: TestContext, files: Record<string, string>): { root: string; write: (path: string, content: string) => void; remove: (path: string) => void } {
  const root = mkdtempSync(join(tmpdir(), 'board-'))
  t.after(() => rmSync(root, { recursive: true, force: true }))
  const write = (path: string, content: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  for (const [path, content] of Object.entries(files)) write(path, content)
  return { root, write, remove: (path) => rmSync(join(root, path)) }
}

const PI = {
  'sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n', 'sys/class/hwmon/hwmon0/name': 'cpu_thermal\n', 'sys/class/hwmon/hwmon1/name': 'rpi_volt\n', 'sys/class/hwmon/hwmon1/in0_lcrit_alarm': '1\n',
  'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n', 'sys/class/thermal/thermal_zone0/temp': '61835\n', 'sys/class/thermal/thermal_zone0/trip_point_0_type': 'critical\n', 'sys/class/thermal/thermal_zone0/trip_point_0_temp': '110000\n', 'sys/class/thermal/cooling_device0/type': 'fan\n',
  'sys/block/mmcblk0/device/life_time': '0x01 0x03\n', 'sys/block/mmcblk0/device/pre_eol_info': '0x01\n', 'sys/block/mmcblk0boot0/device/pre_eol_info': '0x03\n', 'sys/block/sda/device/model': 'x\n', 'sys/block/mmcblk1/device/serial': 'an SD card\n',
  'sys/fs/ext4/features/lazy': 'supported\n', 'sys/fs/ext4/mmcblk0p2/errors_count': '0\n', 'run/systemd/timesync/synchronized': '',
}

test('a Raspberry Pi is read as it is', async (t) => {
  const { root } = tree(t, PI)
  assert.deepStrictEqual(await (await openBoardReader(root, root)).read(), {
    throttled: 0x50005, isUnderVoltage: true, zones: [{ zone: '0', type: 'cpu-thermal', celsius: 61.835, criticalCelsius: 110 }], cards: [{ name: 'mmcblk0', lifeTime: 3, preEol: 1 }], ext4: [{ device: 'mmcblk0p2', errors: 0 }],
    isReadOnly: false, hasBatteryClock: false, isTimeSynchronized: true,
  })
})

test('a Raspberry Pi 5 has its firmware elsewhere; a machine with none of all this has nothing to tell', async (t) => {
  const pi5 = tree(t, { 'sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled': '0\n', 'sys/class/rtc/rtc0/name': 'rpi\n' })
  assert.deepStrictEqual(await (await openBoardReader(pi5.root, pi5.root)).read(), { ...NOTHING, throttled: 0 })
  const plain = tree(t, { 'sys/class/rtc/rtc0/name': 'x' })
  const facts = await (await openBoardReader(plain.root, plain.root)).read()
  assert.deepStrictEqual([facts, signs(facts)], [NOTHING, []])
})

test('a file system that was unmounted is not told of any more', async (t) => {
  const { root, remove } = tree(t, PI)
  const reader = await openBoardReader(root, root)
  const known = async () => (await reader.read()).ext4.map(({ device }) => device)
  const before = await known()
  remove('sys/fs/ext4/mmcblk0p2/errors_count')
  assert.deepStrictEqual([before, await known()], [['mmcblk0p2'], []])
})

test('files that are empty, odd or gone are no signs of anything', async (t) => {
  const { root, remove } = tree(t, { ...PI, 'sys/devices/platform/soc/soc:firmware/get_throttled': 'error\n', 'sys/class/thermal/thermal_zone0/temp': '\n', 'sys/block/mmcblk0/device/life_time': 'zz\n', 'sys/block/mmcblk0/device/pre_eol_info': '' })
  const reader = await openBoardReader(root, root)
  remove('sys/class/hwmon/hwmon1/in0_lcrit_alarm')
  remove('run/systemd/timesync/synchronized')
  assert.deepStrictEqual(await reader.read(), { ...NOTHING, ext4: [{ device: 'mmcblk0p2', errors: 0 }], hasBatteryClock: false, isTimeSynchronized: false })
})

const table: [string, Partial<BoardFacts>, Parameters<typeof signs>[1], string[]][] = [
  ['all is well', { throttled: 0, isUnderVoltage: false }, {}, ['UnderVoltage False VoltageIsSufficient', 'Throttled False ProcessorIsNotThrottled']],
  ['under-voltage now', { throttled: 0x50005 }, {}, ['UnderVoltage True UnderVoltageDetected', 'Throttled True ProcessorIsThrottled']],
  ['under-voltage at some time since the boot', { throttled: 0x50000 }, {}, ['UnderVoltage False UnderVoltageOccurred', 'Throttled False ProcessorWasThrottled']],
  ['the voltage monitor alone', { isUnderVoltage: true }, {}, ['UnderVoltage True UnderVoltageDetected']],
  ['the soft temperature limit slows, too', { throttled: 0x80008 }, {}, ['UnderVoltage False VoltageIsSufficient', 'Throttled True ProcessorIsThrottled']],
  ['as warm as it may be', { zones: [{ zone: '0', type: 'cpu', celsius: 84.9 }] }, {}, ['HighTemperature False TemperatureIsNormal']],
  ['hot by default', { zones: [{ zone: '0', type: 'cpu', celsius: 85 }] }, {}, ['HighTemperature True TemperatureIsHigh']],
  ['hot by its own trip point', { zones: [{ zone: '0', type: 'cpu', celsius: 70, hotCelsius: 70, criticalCelsius: 110 }] }, {}, ['HighTemperature True TemperatureIsHigh']],
  ['hot shortly below critical', { zones: [{ zone: '0', type: 'cpu', celsius: 75, criticalCelsius: 80 }] }, {}, ['HighTemperature True TemperatureIsHigh']],
  ['what was hot is so until it is five degrees cooler', { zones: [{ zone: '0', type: 'cpu', celsius: 80 }] }, { before: [['HighTemperature', true]] }, ['HighTemperature True TemperatureIsHigh']],
  ['... and then not', { zones: [{ zone: '0', type: 'cpu', celsius: 79.9 }] }, { before: [['HighTemperature', true]] }, ['HighTemperature False TemperatureIsNormal']],
  ['storage that lives', { cards: [{ name: 'mmcblk0', lifeTime: 9, preEol: 1 }] }, {}, ['StorageWornOut False StorageIsNotWornOut']],
  ['storage at 90 % of its life', { cards: [{ name: 'mmcblk0', lifeTime: 10 }] }, {}, ['StorageWornOut True StorageIsWornOut']],
  ['storage short of reserve', { cards: [{ name: 'mmcblk0', lifeTime: 1, preEol: 2 }] }, {}, ['StorageWornOut True StorageIsWornOut']],
  ['errors of a file system', { ext4: [{ device: 'a', errors: 0 }, { device: 'b', errors: 2 }] }, {}, ['FilesystemErrors True FilesystemHasErrors']],
  ['a file system that the kernel made read-only', { isReadOnly: true }, {}, ['ReadonlyFilesystem True FilesystemIsReadOnly']],
  ['... and that can be written again', {}, { before: [['ReadonlyFilesystem', true]] }, ['ReadonlyFilesystem False FilesystemIsNotReadOnly']],
  ['the year 1970', {}, { nowMs: 0 }, ['ClockNotSet True ClockIsBeforeBuild']],
  ['no battery and no NTP yet', { hasBatteryClock: false, isTimeSynchronized: false }, {}, ['ClockNotSet True ClockIsNotSynchronized']],
  ['no battery, set by NTP', { hasBatteryClock: false, isTimeSynchronized: true }, {}, ['ClockNotSet False ClockIsSet']],
  ['no battery, and nobody who could say', { hasBatteryClock: false }, {}, []],
  ['a battery: NTP may take its time', { isTimeSynchronized: false }, {}, []],
  ['a clock that was wrong and is right', {}, { before: [['ClockNotSet', true]] }, ['ClockNotSet False ClockIsSet']],
]
for (const [name, facts, more, expected] of table) test(name, () => assert.deepStrictEqual(brief(signs(facts, more)), expected))

test('what is measured does not show in a message: each other one would be written to the API', () => {
  fc.assert(fc.property(fc.double({ min: 86, max: 130, noNaN: true }), fc.double({ min: 86, max: 130, noNaN: true }), fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 1_000 }), (a, b, m, n) => {
    const of = (celsius: number, errors: number) => signs({ zones: [{ zone: '0', type: 'cpu', celsius }], ext4: [{ device: 'sda', errors }] })
    assert.deepStrictEqual(of(a, m), of(b, n))
  }))
})

test('a watch remembers between looks, by the node itself after a restart, and counts for /metrics what it saw last', async (t) => {
  const board = tree(t, { 'sys/class/thermal/thermal_zone0/type': 'cpu\n', 'sys/class/thermal/thermal_zone0/temp': '82000\n', 'sys/class/rtc/rtc0/name': 'x' })
  const watch = (told: { type: string; status: string }[]) => createBoardWatch({ root: board.root, dataDir: board.root, told: () => told, clock: new FakeClock(), log: silentLog })
  const fresh = watch([])
  assert.deepStrictEqual([fresh.metrics(), brief(await fresh.look())], [[], ['HighTemperature False TemperatureIsNormal']])
  const restarted = watch([{ type: 'HighTemperature', status: 'True' }])
  assert.deepStrictEqual(brief(await restarted.look()), ['HighTemperature True TemperatureIsHigh'], 'it has not cooled down enough yet')
  board.write('sys/class/thermal/thermal_zone0/temp', '79000\n')
  assert.deepStrictEqual(brief(await restarted.look()), ['HighTemperature False TemperatureIsNormal'])
  board.write('sys/class/thermal/thermal_zone0/temp', '82000\n')
  assert.deepStrictEqual(brief(await restarted.look()), ['HighTemperature False TemperatureIsNormal'], 'cool once, it has to be hot again')
  assert.deepStrictEqual(restarted.metrics().filter((m) => m.samples.length > 0).map((m) => [m.name, m.samples]), [
    ['problem_gauge', [{ labels: { type: 'HighTemperature', reason: 'TemperatureIsNormal' }, value: 0 }]], ['node_thermal_zone_temp', [{ labels: { type: 'cpu', zone: '0' }, value: 82 }]],
  ])
})
