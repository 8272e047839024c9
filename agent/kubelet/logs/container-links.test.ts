import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { PODS } from '#api/types/index.ts'
import { createNodeWorld, pod } from '../testing/node-world.ts'
import { containerLink, removeDeadLinks } from './container-links.ts'

test('log collectors find each running container\'s log by pod, namespace, container and id, until the container is removed', async (t) => {
  const w = createNodeWorld()
  t.after(() => w.end())
  w.runtime.control.addImage('busybox:1')
  const links = join(w.dir, 'containers')
  mkdirSync(links)
  symlinkSync(join(w.dir, 'logs/gone'), join(links, 'gone_default_app-1.log'))
  await w.startAgent()
  const { uid } = w.create(pod('web')).metadata
  await w.until('running', () => w.pod('web')?.status?.phase === 'Running')
  const [first] = w.runtime.control.running('app')
  const link = join(links, `web_default_app-${first?.id ?? ''}.log`)
  assert.deepEqual(readdirSync(links), [basename(link)], 'what led nowhere is gone')
  assert.equal(readlinkSync(link), join(w.dir, 'logs', `default_web_${uid}`, 'app', '0.log'))
  assert.equal(readFileSync(link, 'utf8'), '')
  w.api.deletePod(PODS, 'default/web')
  await w.until('gone', () => w.pod('web') === undefined)
  await w.run(1_000)
  assert.deepEqual(readdirSync(links), [])
})

test('a link\'s name is no longer than a file system takes', () => {
  const link = containerLink('/var/log/containers', { pod: 'p'.repeat(253), namespace: 'n'.repeat(63), container: 'c', id: '1' })
  assert.deepEqual([basename(link).length, link.endsWith('.log')], [255, true])
  assert.equal(containerLink('/l', { pod: 'web-0', namespace: 'shop', container: 'app', id: 'abc' }), '/l/web-0_shop_app-abc.log')
})

test('only links to logs that are gone are removed, and nothing where there are none', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'links-'))
  t.after(() => rmSync(dir, { recursive: true }))
  await removeDeadLinks(join(dir, 'none'))
  writeFileSync(join(dir, 'log'), '')
  symlinkSync(join(dir, 'log'), join(dir, 'live.log'))
  symlinkSync(join(dir, 'nowhere'), join(dir, 'dead.log'))
  symlinkSync(join(dir, 'nowhere'), join(dir, 'of-somebody-else'))
  await removeDeadLinks(dir)
  assert.deepEqual(readdirSync(dir), ['live.log', 'log', 'of-somebody-else'])
})
