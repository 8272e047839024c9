import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { missingForContainers } from '#test/images/runtime-machine.ts'
import { unmountBelow } from './namespace-pins.ts'
import { mountRootfs } from './rootfs.ts'

describe('the root of a container', { skip: await missingForContainers() }, () => {
  /** Each layer has a file of its own and its number in `top`. */
  function world(t: TestContext, count: number) {
    const dir = mkdtempSync(join(tmpdir(), 'rootfs-'))
    t.after(async () => {
      await unmountBelow([dir], systemClock)
      rmSync(dir, { recursive: true, force: true })
    })
    const chain = Array.from({ length: count }, (_, i) => `layer${String(i).padStart(15, '0')}`)
    const layers = { directory: join(dir, 'layers'), treePath: (id: string) => join(dir, 'layers', id) }
    for (const [i, id] of chain.entries()) {
      mkdirSync(layers.treePath(id), { recursive: true })
      writeFileSync(join(layers.treePath(id), `of-${i}`), '')
      writeFileSync(join(layers.treePath(id), 'top'), String(i))
    }
    const own = { rootfs: join(dir, 'rootfs'), shiftedLayers: join(dir, 'shifted'), upper: join(dir, 'upper'), work: join(dir, 'work') }
    return { own, chain, mount: () => mountRootfs(own, chain, layers, systemClock) }
  }

  // The second number is more than one page of absolute paths takes.
  for (const count of [3, 100]) {
    test(`shows all of ${count} layers, the last on top, and writes beside them`, async (t) => {
      const { own, mount } = world(t, count)
      await mount()
      assert.deepEqual([readFileSync(join(own.rootfs, 'top'), 'utf8'), existsSync(join(own.rootfs, 'of-0')), existsSync(join(own.rootfs, `of-${count - 1}`))], [String(count - 1), true, true])
      writeFileSync(join(own.rootfs, 'new'), 'x')
      assert.equal(readFileSync(join(own.upper, 'new'), 'utf8'), 'x')
    })
  }

  test('a layer that is not there is told with the place', async (t) => {
    const { own, chain, mount } = world(t, 2)
    chain.push('missing')
    await assert.rejects(mount(), { code: 'CRI_FAILED', message: `failed to mount rootfs: mount overlay on ${own.rootfs}: ENOENT` })
  })
})
