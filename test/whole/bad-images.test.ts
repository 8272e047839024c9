/** Images that are not there, registries that hang or lie: the pod says so as upstream does, and runs once it can. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Cluster, until } from '../lab/cluster.ts'

const REGISTRY = join(import.meta.dirname, '../images/misbehaving-registry.ts')

interface ContainerView { reason: string; message: string; running: boolean }

describe('an image that cannot be pulled', { timeout: 600_000 }, () => {
  let cluster: Cluster
  let dir: string
  before(async () => {
    cluster = await Cluster.create({ hosts: 1 })
    dir = join(cluster.server.dir, 'registry')
    mkdirSync(dir)
    cluster.server.start('registry', [process.execPath, REGISTRY, dir])
    await until('the registries listen', 30_000, () => ['missing', 'hanging', 'wrong'].every((name) => existsSync(join(dir, name))))
    // The one that takes longest begins first.
    await run('hanging')
  })
  after(async () => { await cluster.destroy() })

  const imageOf = (fault: string) => `${readFileSync(join(dir, fault), 'utf8')}/${fault}:1`
  const run = (fault: string) => cluster.must(['run', fault, `--image=${imageOf(fault)}`, '--restart=Never', '--', 'sh', '-c', 'echo ran; sleep 1000'])
  const mend = (fault: string) => writeFileSync(join(dir, `mended-${fault}`), '')

  async function look(pod: string): Promise<ContainerView> {
    const text = await cluster.must(['get', 'pod', pod, '-o', 'jsonpath={.status.containerStatuses[0].state}'])
    const state = JSON.parse(text === '' ? '{}' : text) as { waiting?: { reason?: string; message?: string }; running?: object }
    return { reason: state.waiting?.reason ?? '', message: state.waiting?.message ?? '', running: state.running !== undefined }
  }

  async function events(pod: string): Promise<string> {
    return cluster.must(['get', 'events', '--field-selector', `involvedObject.name=${pod}`, '-o', 'jsonpath={range .items[*]}{.type} {.reason} {.message}{"\\n"}{end}'])
  }

  async function failsThenRecovers(fault: string, says: RegExp, recoversWithinMs: number): Promise<void> {
    const seen: ContainerView[] = []
    await until(`${fault}: ErrImagePull, then ImagePullBackOff`, 100_000, async () => {
      const now = await look(fault)
      if (seen.at(-1)?.reason !== now.reason) seen.push(now)
      return now.reason === 'ImagePullBackOff'
    })
    assert.deepStrictEqual(seen.map((s) => s.reason).filter((r) => r !== 'ContainerCreating' && r !== ''), ['ErrImagePull', 'ImagePullBackOff'])
    const failed = seen.find((s) => s.reason === 'ErrImagePull')
    assert.match(failed?.message ?? '', says)
    assert.match(seen.at(-1)?.message ?? '', new RegExp(`^Back-off pulling image "${imageOf(fault)}"`))
    const told = await events(fault)
    for (const line of [`Normal Pulling Pulling image "${imageOf(fault)}"`, `Warning Failed Failed to pull image "${imageOf(fault)}": `, 'Warning Failed Error: ErrImagePull', 'Warning Failed Error: ImagePullBackOff', `Normal BackOff Back-off pulling image "${imageOf(fault)}"`]) {
      assert.ok(told.includes(line), `no event ${JSON.stringify(line)} in\n${told}`)
    }
    mend(fault)
    await until(`${fault} runs`, recoversWithinMs, async () => (await look(fault)).running)
    assert.equal(await cluster.must(['logs', fault]), 'ran\n')
  }

  it('because it does not exist', async () => {
    await run('missing')
    await failsThenRecovers('missing', /not found|manifest unknown/i, 40_000)
  })

  it('because its bytes are not what the digest says', async () => {
    await run('wrong')
    await failsThenRecovers('wrong', /digest/i, 40_000)
  })

  // Four silences of a minute make it ErrImagePull (the runtime's own tests have that, with shorter ones).
  it('because the registry hangs: others are not held up, and the transfer is taken up again when it answers', async () => {
    assert.deepStrictEqual(await look('hanging'), { reason: 'ContainerCreating', message: '', running: false })
    mend('hanging')
    await until('hanging runs', 90_000, async () => (await look('hanging')).running)
    assert.equal(await cluster.must(['logs', 'hanging']), 'ran\n')
  })

  it('because its name is none: InvalidImageName, and nothing is asked of anyone', async () => {
    await cluster.must(['apply', '-f', '-'], { input: JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'nameless' }, spec: { containers: [{ name: 'main', image: 'Not_An_Image:1:2' }] } }) })
    await until('the pod says so', 20_000, async () => (await look('nameless')).reason === 'InvalidImageName')
    assert.match((await look('nameless')).message, /couldn't parse image name "Not_An_Image:1:2": invalid reference format/)
  })
})
