import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { labMissing, NetnsLab } from '../testing/netns-lab.ts'

test('UDP flows are read with who serves them, and exactly those named are deleted', { skip: await labMissing() }, async () => {
  const lab = await NetnsLab.open()
  try {
    const host = await lab.host('host')
    await host.sh(`nft -f - <<'END'
table ip t {
  chain out { type nat hook output priority -100; ip daddr 10.43.0.1 udp dport 53 dnat to 192.168.77.254:5353; ip daddr 10.43.0.2 udp dport 53 dnat to 192.168.77.254:5454; }
}
END`)
    await host.sh(`bash -c 'for a in 10.43.0.1 10.43.0.2 192.168.77.254; do echo x > /dev/udp/$a/53; done'`)
    const run = async (port: number) => JSON.parse(await host.sh(`${process.execPath} --disable-warning=ExperimentalWarning ${join(import.meta.dirname, '../testing/delete-flows.ts')} 192.168.77.254 ${port}`)) as { deleted: number; seen: string[] }
    const direct = '192.168.77.254:53=>192.168.77.254:53'
    assert.deepEqual(await run(5353), { deleted: 1, seen: ['10.43.0.1:53=>192.168.77.254:5353', '10.43.0.2:53=>192.168.77.254:5454', direct] })
    assert.deepEqual(await run(1), { deleted: 0, seen: ['10.43.0.2:53=>192.168.77.254:5454', direct] })
  } finally {
    await lab.close()
  }
})
