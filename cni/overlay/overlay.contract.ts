/** What every overlay must do, whatever carries the packets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Peer } from '../network.ts'
import type { Overlay } from './overlay.ts'

export interface OverlayUnderTest {
  overlay: Overlay
  /** How many changes it has made since it was asked last. */
  takeChanges: () => number
  close: () => Promise<void>
}

/** The node under test is 192.168.77.1 with 10.42.0.0/24; peers live in 192.168.77.0/24. */
export function overlayContract(name: string, make: () => Promise<OverlayUnderTest>, options: { skip?: string | undefined } = {}): void {
  const peer = (n: number): Peer => ({ nodeName: `n${n}`, nodeIp: `192.168.77.${n}`, podCidr: `10.42.${n}.0/24`, vtepMac: `02:00:00:00:00:0${n}` })
  const reach = (n: number) => ({ podCidr: `10.42.${n}.0/24`, nodeIp: `192.168.77.${n}` })
  const contract = (title: string, body: (t: OverlayUnderTest) => Promise<void>): void => {
    void test(`${name}: ${title}`, { skip: options.skip }, async () => {
      const under = await make()
      try {
        await under.overlay.start({ links: [] })
        under.takeChanges()
        await body(under)
      } finally {
        await under.close()
      }
    })
  }

  contract('exactly the peers given are reachable, and the same set again changes nothing', async ({ overlay, takeChanges }) => {
    await overlay.setPeers([peer(2), peer(3)])
    assert.deepEqual(await overlay.reachable(), [reach(2), reach(3)])
    assert.ok(takeChanges() > 0)
    await overlay.setPeers([peer(3), peer(2)])
    assert.equal(takeChanges(), 0)
    await overlay.setPeers([peer(3)])
    assert.deepEqual(await overlay.reachable(), [reach(3)])
    await overlay.setPeers([])
    assert.deepEqual(await overlay.reachable(), [])
  })

  contract('a peer that moves to another address is followed', async ({ overlay }) => {
    await overlay.setPeers([peer(2), peer(3)])
    await overlay.setPeers([{ ...peer(2), nodeIp: '192.168.77.22' }, peer(3)])
    assert.deepEqual(await overlay.reachable(), [{ podCidr: '10.42.2.0/24', nodeIp: '192.168.77.22' }, reach(3)])
  })

  contract('the node itself and malformed or doubled peers are left out', async ({ overlay }) => {
    await overlay.setPeers([
      { ...peer(1), podCidr: '10.42.0.0/24' }, { ...peer(4), podCidr: '10.42.0.0/24' }, peer(2), { ...peer(5), podCidr: '10.42.2.0/24' },
      { ...peer(6), podCidr: '10.42.6.7/24' }, { ...peer(7), nodeIp: 'somewhere; reboot' }, { ...peer(8), podCidr: 'x' },
    ])
    assert.deepEqual(await overlay.reachable(), [reach(2)])
  })

  contract('a restart finds its peers and keeps them', async ({ overlay, takeChanges }) => {
    await overlay.setPeers([peer(2)])
    takeChanges()
    await overlay.start({ links: [] })
    takeChanges()
    await overlay.setPeers([peer(2)])
    assert.equal(takeChanges(), 0)
    assert.deepEqual(await overlay.reachable(), [reach(2)])
  })
}
