/** A board that tells of its troubles, by files of its own in place of /sys's: conditions and events of the node, metrics, `skiff check`. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { SKIFF } from './one-host.ts'

const ZONE = '/sys/class/thermal/thermal_zone0'
const ERRORS = '/sys/fs/ext4/mmcblk0p2/errors_count'

describe('signs of a board', { timeout: 600_000 }, () => {
  let cluster: Cluster
  const node = (): LabHost => {
    const [host] = cluster.lab.hosts
    if (!host) throw new Error('the lab has no host')
    return host
  }
  const write = (path: string, content: string) => node().must(['sh', '-ec', 'echo "$2" > "$1"', 'sh', path, content])
  const condition = async (type: string) => (await cluster.must(['get', 'node', node().name, '-o', `jsonpath={.status.conditions[?(@.type=="${type}")].status} {.status.conditions[?(@.type=="${type}")].reason}`])).trim()
  const metric = async () => /^problem_gauge\{.*type="HighTemperature".*\} \d$/m.exec(await cluster.must(['get', '--raw', `/api/v1/nodes/${node().name}/proxy/metrics`]))?.[0]

  before(async () => {
    cluster = await Cluster.create({
      hosts: 1,
      async prepare(host) {
        await host.must(['sh', '-ec', `for dir in /sys/class/thermal /sys/fs/ext4; do mount -t tmpfs none $dir; done; mkdir ${ZONE} ${ERRORS.slice(0, ERRORS.lastIndexOf('/'))}; echo cpu-thermal > ${ZONE}/type; echo 60000 > ${ZONE}/temp; echo 0 > ${ERRORS}`])
        return []
      },
    })
  })
  after(() => cluster.destroy())

  it('are told when they come and when they go, by conditions, events and metrics', async () => {
    assert.deepStrictEqual([await condition('HighTemperature'), await condition('FilesystemErrors'), await condition('UnderVoltage')], ['False TemperatureIsNormal', 'False FilesystemHasNoErrors', ''])
    await write(`${ZONE}/temp`, '91000')
    await write(ERRORS, '3')
    await until('both are told', 30_000, async () => (await condition('HighTemperature')) === 'True TemperatureIsHigh' && (await condition('FilesystemErrors')) === 'True FilesystemHasErrors')
    await until('in events, too', 20_000, async () => /TemperatureIsHigh/.test(await cluster.must(['get', 'events', '-A', '-o', 'jsonpath={.items[*].reason}'])))
    assert.equal(await metric(), 'problem_gauge{reason="TemperatureIsHigh",type="HighTemperature"} 1')
    assert.equal((await condition('Ready')), 'True KubeletReady')
    await write(`${ZONE}/temp`, '60000')
    await until('it has cooled down', 30_000, async () => (await condition('HighTemperature')) === 'False TemperatureIsNormal')
  })

  it('are in what skiff check says', async () => {
    await write(`${ZONE}/temp`, '91000')
    const { stdout } = await node().run([SKIFF, 'check', '--data-dir', node().dataDir], { timeoutMs: 60_000 })
    assert.match(stdout, /^warn +temperature +cpu-thermal has reached 85 °C: give it air$/m)
    assert.match(stdout, /^warn +file systems +the ext4 file system on mmcblk0p2 has noted errors/m)
  })
})
