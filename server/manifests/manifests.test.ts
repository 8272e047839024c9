import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { createEventRecorder } from '#api/client/event-recorder.ts'
import { isReason } from '#api/client/client.ts'
import { CONFIG_MAPS, EVENTS, NAMESPACES, type ConfigMap, type CoreV1Event, type KubeObject } from '#api/types/index.ts'
import { systemClock } from '#base/clock.ts'
import { createLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { startCluster } from '../controllers/cluster.test-support.ts'
import { decideManifests, nextRepairs, type ManifestsView, type WantedObject } from './decide.ts'
import { FIELD_MANAGER, runManifests } from './manifests.ts'
import { parseManifest } from './parse-manifest.ts'
import { readManifests } from './read-manifests.ts'

const root = mkdtempSync(join(tmpdir(), 'skiff-manifests-'))
after(() => rmSync(root, { recursive: true }))

describe('reading the directory', () => {
  it('takes manifests by name, below it too, and leaves out the hidden, the skipped and what is none', async () => {
    const dir = join(root, 'read')
    const outside = join(root, 'outside.yaml')
    writeFileSync(outside, 'secret: 1')
    mkdirSync(join(dir, 'apps'), { recursive: true })
    for (const name of ['b.yaml', 'a.yml', 'c.json', 'apps/d.yaml', '.hidden.yaml', 'off.yaml', 'off.yaml.skip', 'README.md', 'e.yaml.tmp']) writeFileSync(join(dir, name), name)
    symlinkSync('b.yaml', join(dir, 'inside.yaml'))
    symlinkSync(outside, join(dir, 'outside.yaml'))
    symlinkSync('..', join(dir, 'up'))
    symlinkSync('.', join(dir, 'apps', 'loop'))
    symlinkSync('nowhere', join(dir, 'dangling.yaml'))
    writeFileSync(join(dir, 'huge.yaml'), '')
    truncateSync(join(dir, 'huge.yaml'), 9 << 20)
    const { files, directories } = await readManifests(dir)
    assert.deepStrictEqual(files, [
      { name: 'a.yml', content: { text: 'a.yml' } }, { name: 'apps/d.yaml', content: { text: 'apps/d.yaml' } }, { name: 'b.yaml', content: { text: 'b.yaml' } }, { name: 'c.json', content: { text: 'c.json' } },
      { name: 'huge.yaml', content: { problem: 'it is larger than 8 MiB: split it' } }, { name: 'inside.yaml', content: { text: 'b.yaml' } },
      { name: 'outside.yaml', content: { problem: 'it is a link that leads out of the directory: put the file itself there' } },
    ])
    assert.deepStrictEqual(directories, [dir, join(dir, 'apps')])
  })
})

describe('parsing a manifest', () => {
  const cm = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } })
  for (const [what, text, objects] of [
    ['several documents, empty ones between', `---\n# only a comment\n---\n${JSON.stringify(cm('a'))}\n--- # b\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\n`, [cm('a'), cm('b')]],
    ['the items of lists', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [cm('a'), { apiVersion: 'v1', kind: 'ConfigMapList', items: [cm('b')] }] }), [cm('a'), cm('b')]],
    ['JSON, a byte order mark before it', `\uFEFF${JSON.stringify(cm('a'), null, 2)}`, [cm('a')]],
    ['what was copied out of a cluster, without what servers set', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, uid: x, resourceVersion: "1", creationTimestamp: null, managedFields: []}', [cm('a')]],
    ['nothing', '', []],
  ] as const) it(`yields ${what}`, () => assert.deepStrictEqual(parseManifest(text), { ok: true, objects }))
  for (const [what, text, problem] of [
    ['broken YAML', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\na: [1\n', /^document 2 \(line 4\): yaml: line \d+/],
    ['a text', 'hello', /it is not an object/], ['a list', '- a', /it is not an object/], ['no kind', 'apiVersion: v1', /kind is missing/], ['no apiVersion', 'kind: Pod', /apiVersion is missing/],
    ['no name', 'apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}', /Pod has no metadata\.name/], ['a bad item', 'apiVersion: v1\nkind: List\nitems: [1]', /items\[0\]: it is not an object/],
    ['an alias bomb', `a: &a [${'1,'.repeat(50)}1]\nb: &b [${'*a,'.repeat(50)}*a]\nc: &c [${'*b,'.repeat(50)}*b]\nd: &d [${'*c,'.repeat(50)}*c]\ne: [${'*d,'.repeat(50)}*d]`, /alias/],
    ['bytes', '\0\x01\x02', /yaml/], ['depth', '['.repeat(10_000), /yaml/],
  ] as const) it(`refuses ${what} in one line`, () => {
    const parsed = parseManifest(text)
    assert.ok(!parsed.ok)
    assert.match(parsed.problem, problem)
    assert.ok(!parsed.problem.includes('\n'))
  })
})

describe('deciding what to apply', () => {
  const wanted = (name: string, kind = 'ConfigMap', rest: Partial<WantedObject> = {}): WantedObject => ({ key: `/${kind}//${name}`, file: 'f.yaml', hash: 'h', object: { apiVersion: 'v1', kind, metadata: { name } } as KubeObject, ...rest })
  const view = (rest: Partial<ManifestsView>): ManifestsView => ({ wanted: [], problems: new Map(), applied: new Map(), failed: new Map(), heard: new Map(), told: new Map(), ...rest })
  const applied = new Map([['/ConfigMap//a', { hash: 'h', signature: 's', repairs: 0, repairedMs: 0 }]])
  const decide = (rest: Partial<ManifestsView>, nowMs = 1_000_000) => {
    const { actions, wakeAtMs } = decideManifests(view(rest), { nowMs })
    return [actions.map((a) => (a.kind === 'apply' ? `${a.wanted.key} ${a.because}` : `${a.kind} ${a.file}`)), wakeAtMs]
  }
  it('applies namespaces first, then CRDs, then the rest in order', () => {
    assert.deepStrictEqual(decide({ wanted: [wanted('a'), wanted('crd', 'CustomResourceDefinition'), wanted('b'), wanted('ns', 'Namespace')] }), [['/Namespace//ns new', '/CustomResourceDefinition//crd new', '/ConfigMap//a new', '/ConfigMap//b new'], undefined])
  })
  it('leaves alone what is as it was applied, and mends what was edited, changed or deleted', () => {
    assert.deepStrictEqual(decide({ wanted: [wanted('a')], applied }), [[], undefined])
    assert.deepStrictEqual(decide({ wanted: [wanted('a')], applied, heard: new Map([['/ConfigMap//a', 's']]) }), [[], undefined])
    assert.deepStrictEqual(decide({ wanted: [wanted('a', 'ConfigMap', { hash: 'h2' })], applied }), [['/ConfigMap//a edited'], undefined])
    assert.deepStrictEqual(decide({ wanted: [wanted('a')], applied, heard: new Map([['/ConfigMap//a', 't']]) }), [['/ConfigMap//a changedInCluster'], undefined])
    assert.deepStrictEqual(decide({ wanted: [wanted('a')], applied, heard: new Map([['/ConfigMap//a', 'gone']]) }), [['/ConfigMap//a deletedInCluster'], undefined])
  })
  it('waits longer after each failure, unless the file was edited', () => {
    const failed = new Map([['/ConfigMap//a', { hash: 'h', failures: 3, failedMs: 1_000_000 }]])
    assert.deepStrictEqual(decide({ wanted: [wanted('a')], failed }), [[], 1_004_000])
    assert.deepStrictEqual(decide({ wanted: [wanted('a')], failed }, 1_004_000), [['/ConfigMap//a new'], undefined])
    assert.deepStrictEqual(decide({ wanted: [wanted('a', 'ConfigMap', { hash: 'h2' })], failed }), [['/ConfigMap//a new'], undefined])
  })
  it('does not fight at full speed with somebody who wants it otherwise', () => {
    const fight = new Map([['/ConfigMap//a', { hash: 'h', signature: 's', repairs: 5, repairedMs: 1_000_000 }]])
    assert.deepStrictEqual(decide({ wanted: [wanted('a')], applied: fight, heard: new Map([['/ConfigMap//a', 't']]) }), [[], 1_008_000])
    assert.deepStrictEqual([nextRepairs(fight.get('/ConfigMap//a'), true, 1_001_000), nextRepairs(fight.get('/ConfigMap//a'), true, 1_700_001), nextRepairs(fight.get('/ConfigMap//a'), false, 0)], [6, 1, 0])
  })
  it('tells each problem once, and of an object in two files uses the first', () => {
    const problems = new Map([['x.yaml', 'bad']])
    assert.deepStrictEqual(decide({ problems }), [['tellProblem x.yaml'], undefined])
    assert.deepStrictEqual(decide({ problems, told: problems }), [[], undefined])
    assert.deepStrictEqual(decide({ told: problems }), [['forgetProblem x.yaml'], undefined])
    assert.deepStrictEqual(decide({ wanted: [wanted('a'), wanted('a', 'ConfigMap', { file: 'g.yaml', hash: 'h2' })] }), [['tellProblem g.yaml', '/ConfigMap//a new'], undefined])
  })
})

describe('manifests on an API server', () => {
  it('are applied, kept applied, mended when edited; a broken one is told and the others go on; a removed file leaves its objects', async () => {
    await using cluster = await startCluster()
    const directory = join(root, 'live')
    mkdirSync(directory)
    const put = (name: string, text: string) => writeFileSync(join(directory, name), text)
    const lines: string[] = []
    const log = createLog({ format: 'text', level: 'info', nowMs: () => 0, write: (l) => { lines.push(l) } })
    const { client } = cluster
    const stop = new AbortController()
    const events = createEventRecorder(client, { component: FIELD_MANAGER, clock: systemClock, random: seededRandom(1), log })
    put('app.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\ndata: {color: red}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n')
    put('bad.yaml', 'a: [')
    put('unknown.yaml', 'apiVersion: example.com/v1\nkind: Boat\nmetadata: {name: x}\n')
    const running = runManifests({ directory, client, events, clock: systemClock, random: seededRandom(2), log }, stop.signal)
    const color = async () => (await client.get<ConfigMap>(CONFIG_MAPS, 'web', 'shop')).data?.['color']
    const becomes = (wanted: string) => cluster.until(`the color is ${wanted}`, async () => assert.equal(await color(), wanted))

    await becomes('red')
    assert.deepStrictEqual((await client.get<ConfigMap>(CONFIG_MAPS, 'web', 'shop')).metadata.managedFields?.map((f) => [f.manager, f.operation]), [[FIELD_MANAGER, 'Apply']])
    await cluster.until('problems are events', async () => {
      const messages = (await client.list<CoreV1Event>(EVENTS)).items.filter((e) => e.reason === 'ApplyManifestFailed').map((e) => e.message ?? '').sort()
      assert.equal(messages.length, 2)
      assert.match(messages[0] ?? '', /^bad\.yaml: document 1 \(line 1\): yaml/)
      assert.match(messages[1] ?? '', /^unknown\.yaml: example\.com\/Boat\/\/x: no matches for kind "Boat" in version "example\.com\/v1"/)
    })
    await client.patch(CONFIG_MAPS, 'web', 'shop', 'application/merge-patch+json', { data: { color: 'blue', other: 'stays' } })
    await becomes('red')
    assert.equal((await client.get<ConfigMap>(CONFIG_MAPS, 'web', 'shop')).data?.['other'], 'stays')
    await client.delete(CONFIG_MAPS, 'web', 'shop')
    await becomes('red')
    put('app.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: shop}\ndata: {color: green}\n')
    await becomes('green')
    put('bad.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mended, namespace: default}\n')
    await cluster.until('the mended file is applied', async () => { await client.get(CONFIG_MAPS, 'mended', 'default') })

    rmSync(join(directory, 'app.yaml'))
    put('last.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: last}\n')
    await cluster.until('the file after the removal is applied', async () => { await client.get(CONFIG_MAPS, 'last', 'default') })
    assert.equal(await color(), 'green')
    await client.get(NAMESPACES, 'shop')
    await client.delete(CONFIG_MAPS, 'web', 'shop')
    put('last.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: last}\ndata: {x: z}\n')
    await cluster.until('the last file is applied again', async () => assert.deepEqual((await client.get<ConfigMap>(CONFIG_MAPS, 'last', 'default')).data, { x: 'z' }))
    await assert.rejects(color(), (error) => isReason(error, 'NotFound'))
    stop.abort()
    await running
    events.close()
    assert.equal(lines.filter((l) => /ERROR .*bad\.yaml/.test(l)).length, 1, lines.join('\n'))
    assert.equal(lines.filter((l) => /ERROR .*unknown\.yaml/.test(l)).length, 1, lines.join('\n'))
  })
})
