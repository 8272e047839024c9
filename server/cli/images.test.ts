import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { connectRuntime, serveRuntime, type ContainerRuntime, type Image } from '#cri/index.ts'
import { createMemoryRuntime } from '#cri/memory/runtime-memory.ts'
import { images, listing, run, wordOf } from './images.ts'

const anImage = (more: Partial<Image>): Image => ({ id: `sha256:${'ab'.repeat(32)}`, repoTags: [], repoDigests: [], sizeBytes: 2_213_000, pinned: false, ...more })

test('images are listed as crictl lists them: a line for each name, sizes in powers of ten', () => {
  const list = listing([
    anImage({ repoTags: ['docker.io/library/busybox:1', 'docker.io/library/busybox:latest'] }),
    anImage({ id: `sha256:${'cd'.repeat(32)}`, repoDigests: [`reg.example:5000/app@sha256:${'0'.repeat(64)}`], sizeBytes: 987 }), anImage({ id: 'sha256:ef', sizeBytes: 1_500_000_000 }),
  ], false)
  assert.equal(list, [
    'IMAGE                       TAG      IMAGE ID        SIZE', '<none>                      <none>   ef              1.5GB', 'docker.io/library/busybox   1        ababababababa   2.21MB',
    'docker.io/library/busybox   latest   ababababababa   2.21MB', 'reg.example:5000/app        <none>   cdcdcdcdcdcdc   987B', '',
  ].join('\n'))
  assert.deepEqual(JSON.parse(listing([anImage({})], true)), [anImage({})])
})

const refused: [string[], RegExp][] = [
  [[], /^skiff images needs ls, pull, import, export or rm/], [['prune'], /^skiff images knows no "prune", only ls, pull/], [['ls', 'x'], /^skiff images ls takes no argument "x"$/],
  [['pull'], /^skiff images pull needs the name of an image$/], [['import'], /^skiff images import needs the path of an archive$/], [['export'], /^skiff images export needs the name or the id/], [['rm'], /^skiff images rm needs the name or the id/],
]
for (const [words, says] of refused) test(`refused: skiff images ${words.join(' ')}`, () => assert.throws(() => wordOf(words), (e) => e instanceof UsageError && says.test(e.message)))

test('where no agent runs it is said so', () => assert.rejects(run(['ls', '--data-dir', '/nowhere']), (e) => e instanceof CodedError && e.code === 'NO_RUNTIME' && e.message.startsWith('/nowhere/agent/cri.sock is not there: ')))

/** An agent's socket; `told` is what was printed. */
async function agent(t: TestContext) {
  const dir = mkdtempSync(join(tmpdir(), 'skiff-images-'))
  const memory = createMemoryRuntime({ clock: systemClock, random: systemRandom, writeLogs: false })
  memory.control.serve('busybox:1')
  const auths: unknown[] = []
  const held: string[][] = []
  const released = Promise.withResolvers<void>()
  const own: ContainerRuntime = Object.assign(Object.create(memory) as ContainerRuntime, {
    version: () => Promise.resolve({ runtimeName: 'skiff', runtimeVersion: '1.2', runtimeApiVersion: 'v1' }),
    pullImage: (...[ref, options]: Parameters<ContainerRuntime['pullImage']>) => {
      auths.push(options.auth)
      return memory.pullImage(ref, options)
    },
    importImages: (path: string) => (path.endsWith('good.tar') ? Promise.resolve([memory.control.addImage('imported:1')]) : Promise.reject(new CodedError('CRI_INVALID', `${path} is no archive of images`))),
    holdImages: (refs: readonly string[]) => {
      if (refs.includes('none:1')) return Promise.reject(new CodedError('CRI_IMAGE_NOT_FOUND', 'there is no image "none:1" here'))
      held.push([...refs])
      return Promise.resolve({ images: [{ id: 'sha256:1', names: ['docker.io/library/busybox:1'], configBytes: Buffer.from('{"rootfs":{}}'), layers: [] }], release: () => { held.length = 0; released.resolve() } })
    },
  })
  const endpoint = join(dir, 'cri.sock')
  const server = await serveRuntime(own, { socketPath: endpoint, clock: systemClock, random: systemRandom, log: silentLog })
  const client = await connectRuntime({ endpoint, clock: systemClock, log: silentLog })
  t.after(async () => {
    await client.close()
    await server.close()
    await memory.close()
    rmSync(dir, { recursive: true })
  })
  const told: string[] = []
  const save = async (output: string | undefined, chunks: AsyncIterable<Buffer>) => {
    let bytes = 0
    for await (const chunk of chunks) bytes += chunk.length
    told.push(`${output} ${bytes > 0}\n`)
  }
  const ask = (word: Parameters<typeof images>[0], names: string[] = [], values = {}) => images(word, names, values, client, { write: (line) => told.push(line), readPassword: () => Promise.resolve('from stdin'), save })
  return { dir, told, ask, auths, held, released: released.promise }
}

test('an image is pulled, listed, and removed by its name', async (t) => {
  const { told, ask, auths } = await agent(t)
  await ask('pull', ['busybox:1'], { username: 'me' })
  const [id = ''] = told
  assert.match(id, /^sha256:[0-9a-f]{64}\n$/)
  assert.deepEqual(auths, [{ username: 'me', password: 'from stdin' }])
  await ask('ls')
  assert.match(told[1] ?? '', /^docker\.io\/library\/busybox +1 +[0-9a-f]{13} /m)
  await ask('rm', ['busybox:1'])
  assert.equal(told[2], id)
  await assert.rejects(ask('rm', ['busybox:1']), (e) => e instanceof CodedError && e.code === 'IMAGE_UNKNOWN' && e.message === 'there is no image "busybox:1" here; skiff images ls shows them')
})

test('an archive is imported by the agent, from where the command was called; one that is none is named', async (t) => {
  const { told, ask, dir } = await agent(t)
  writeFileSync(join(dir, 'good.tar'), '')
  await ask('import', [join(dir, 'good.tar')])
  assert.deepEqual(told, ['docker.io/library/imported:1\n'])
  await assert.rejects(ask('import', ['bad.tar']), (e) => e instanceof Error && e.message.includes(`${process.cwd()}/bad.tar is no archive of images`))
})

test('images are exported into one archive; they are held until it is written, and what is not there is said', async (t) => {
  const { told, ask, held, released } = await agent(t)
  await ask('export', ['busybox:1', 'other:1'], { output: 'x.tar' })
  assert.deepEqual(told, [`${process.cwd()}/x.tar true\n`])
  await released
  assert.deepEqual(held, [])
  await ask('export', ['busybox:1'])
  assert.equal(told[1], 'undefined true\n')
  await assert.rejects(ask('export', ['none:1']), (e) => e instanceof CodedError && e.message === 'there is no image "none:1" here')
})
