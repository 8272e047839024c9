import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { createLog } from '#base/log.ts'
import { CodedError } from '#base/errors.ts'
import type { Image } from '#cri/index.ts'
import { decideAirgap, type AirgapView } from './decide.ts'
import { createImageDirectory } from './image-directory.ts'

const view = (rest: Partial<AirgapView>): AirgapView => ({ files: [], stamps: {}, failed: {}, present: new Set(), ...rest })
const file = (name: string, modifiedMs = 1) => ({ name, sizeBytes: 10, modifiedMs })
const image = (id: string): Image => ({ id, repoTags: [`docker.io/library/${id}:1`], repoDigests: [], sizeBytes: 5, pinned: true })

describe('deciding what to import', () => {
  const stamped = { 'a.tar': { sizeBytes: 10, modifiedMs: 1, imageIds: ['x'] } }
  for (const [what, given, actions] of [
    ['archives and lists that are new', { files: ['a.tar', 'b.tar.gz', 'c.tar.zst', 'd.tgz', 'e.txt'].map((n) => file(n)) }, [
      ...['a.tar', 'b.tar.gz', 'c.tar.zst', 'd.tgz'].map((n) => ({ kind: 'importArchive', file: file(n), because: 'new' })), { kind: 'pullList', file: file('e.txt') },
    ]],
    ['nothing else: notes, hidden files of unfinished copies', { files: [file('README.md'), file('.a.tar'), file('a.tar.part')] }, []],
    ['nothing that is here already', { files: [file('a.tar')], stamps: stamped, present: new Set(['x']) }, []],
    ['what has changed', { files: [file('a.tar', 2)], stamps: stamped, present: new Set(['x']) }, [{ kind: 'importArchive', file: file('a.tar', 2), because: 'changed' }]],
    ['what the runtime has lost', { files: [file('a.tar')], stamps: stamped }, [{ kind: 'importArchive', file: file('a.tar'), because: 'imageLost' }]],
    ['what failed, but only once it has changed', { files: [file('a.tar'), file('b.tar', 2)], failed: { 'a.tar': file('a.tar'), 'b.tar': file('b.tar') } }, [{ kind: 'importArchive', file: file('b.tar', 2), because: 'new' }]],
    ['and forgets files that are gone', { stamps: stamped, present: new Set(['x']) }, [{ kind: 'forget', name: 'a.tar' }]],
  ] as const) it(`takes ${what}`, () => assert.deepStrictEqual(decideAirgap(view(given)).actions, actions))
})

describe('the directory of image archives', () => {
  const root = mkdtempSync(join(tmpdir(), 'skiff-airgap-'))
  after(() => rmSync(root, { recursive: true }))
  const setup = (name: string) => {
    const dataDir = join(root, name)
    mkdirSync(join(dataDir, 'images'), { recursive: true })
    const calls: string[] = []
    const lines: string[] = []
    const images = new Map<string, Image>()
    const waiters: (() => void)[] = []
    const called = (what: string) => {
      calls.push(what)
      for (const w of waiters.splice(0)) w()
    }
    const add = (id: string) => {
      images.set(id, image(id))
      return [image(id)]
    }
    const make = () => createImageDirectory({
      dataDir, clock: systemClock, log: createLog({ format: 'text', level: 'info', nowMs: () => 0, write: (l) => { lines.push(l) } }),
      runtime: {
        listImages: () => Promise.resolve([...images.values()]),
        importImages(path) {
          called(`import ${path.slice(dataDir.length + 8)}`)
          if (readFileSync(path, 'utf8') === 'junk') return Promise.reject(new CodedError('CRI_INVALID', `failed to import ${path}: it is junk`))
          return Promise.resolve(add(path.slice(dataDir.length + 8)))
        },
        pullImage(ref) {
          called(`pull ${ref}`)
          return Promise.resolve(add(ref)[0] ?? image(ref))
        },
      },
    })
    const next = () => new Promise<void>((resolve) => { waiters.push(resolve) })
    return { put: (n: string, content: string) => writeFileSync(join(dataDir, 'images', n), content), calls, lines, make, next, images, dataDir }
  }
  const never = new AbortController().signal

  it('is imported once, one line per image, a broken one told in one line and the others not kept waiting', async () => {
    const t = setup('once')
    t.put('a.tar', 'a')
    t.put('b.tar', 'junk')
    t.put('c.tar.gz', 'c')
    t.put('list.txt', '# ours\nbusybox:1\n')
    await t.make().importAll(never)
    assert.deepStrictEqual(t.calls, ['import a.tar', 'import b.tar', 'import c.tar.gz'])
    assert.equal(t.lines.filter((l) => / INFO .*imported image image=docker.io\/library\//.test(l)).length, 2)
    assert.deepEqual(t.lines.filter((l) => / ERROR /.test(l)).map((l) => /could not be imported.*b\.tar.*it is junk/.test(l)), [true])
    t.calls.length = 0
    await t.make().importAll(never)
    assert.deepStrictEqual(t.calls, ['import b.tar'])
    utimesSync(join(t.dataDir, 'images', 'a.tar'), 1000, 1000)
    t.images.delete('c.tar.gz')
    t.calls.length = 0
    await t.make().importAll(never)
    assert.deepStrictEqual(t.calls, ['import a.tar', 'import b.tar', 'import c.tar.gz'])
  })

  it('imports what comes later, pulls lists, and starts over when its memory is torn', async () => {
    const t = setup('later')
    writeFileSync(join(t.dataDir, 'image-imports.json'), '{"a.tar": ')
    t.put('list.txt', 'busybox:1\n\n# comment\nnginx:2\n')
    const directory = t.make()
    await directory.importAll(never)
    const stop = new AbortController()
    const running = directory.run(stop.signal)
    while (t.calls.length < 2) await t.next()
    assert.deepStrictEqual(t.calls, ['pull busybox:1', 'pull nginx:2'])
    t.put('late.tar', 'late')
    await t.next()
    assert.deepStrictEqual(t.calls.slice(2), ['import late.tar'])
    stop.abort()
    await running
  })
})
