/** A node on bad days: agents killed at any moment, calls that fail, a server that comes and goes. The laws hold and it comes to rest. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { PODS, type Pod } from '#api/types/index.ts'
import { seededRandom, type Random } from '#base/random.ts'
import type { MemoryMethod } from '#cri/memory/runtime-memory.ts'
import { createNodeWorld, pod, type NodeWorld } from './testing/node-world.ts'

const SEEDS = Number(process.env.KUBELET_SEEDS ?? 12)
const STEPS = 25
const FAILING: MemoryMethod[] = ['runPodSandbox', 'createContainer', 'startContainer', 'stopContainer', 'stopPodSandbox', 'removePodSandbox', 'listContainers', 'listPodSandbox', 'imageStatus', 'removeContainer']

const pick = <T>(random: Random, list: readonly T[]): T | undefined => list[Math.floor(random.next() * list.length)]

function podOf(random: Random, name: string): Pod {
  return pod(name, {
    restartPolicy: pick(random, ['Always', 'Always', 'OnFailure', 'Never']) ?? 'Always',
    terminationGracePeriodSeconds: 5,
    ...(random.next() < 0.4 && { initContainers: [{ name: 'init', image: 'busybox:1', command: ['sh', '-c', 'sleep 1'] }, { name: 'side', image: 'busybox:1', restartPolicy: 'Always' }] }),
    ...(random.next() < 0.4 && { volumes: [{ name: 'd', emptyDir: {} }] }),
    containers: [
      { name: 'app', image: 'busybox:1', ...(random.next() < 0.3 && { command: ['sh', '-c', `sleep ${Math.floor(random.next() * 20)}; exit ${Math.floor(random.next() * 2)}`] }) },
      ...(random.next() < 0.5 ? [{ name: 'two', image: 'busybox:1' }] : []),
    ],
  })
}

/** What must be true at every moment. */
function checkLaws(w: NodeWorld, seen: Map<string, number>): void {
  const { started } = w.runtime.control
  assert.equal(new Set(started).size, started.length, 'a container was started twice')
  for (const p of w.api.list<Pod>(PODS)) {
    for (const s of [...(p.status?.containerStatuses ?? []), ...(p.status?.initContainerStatuses ?? [])]) {
      const key = `${p.metadata.uid}/${s.name}`
      assert.ok(s.restartCount >= (seen.get(key) ?? 0), `restartCount of ${key} fell from ${seen.get(key) ?? 0} to ${s.restartCount}`)
      seen.set(key, s.restartCount)
    }
    const ended = p.status?.phase === 'Succeeded' || p.status?.phase === 'Failed'
    if (ended) seen.set(`${p.metadata.uid} ended`, 1)
    else assert.ok(!seen.has(`${p.metadata.uid} ended`), `${p.metadata.name} had ended and is ${p.status?.phase ?? ''} again`)
  }
}

async function roughDay(seed: number): Promise<void> {
  const random = seededRandom(seed)
  const w = createNodeWorld()
  const seen = new Map<string, number>()
  let names = 0
  let up = true
  try {
    w.runtime.control.addImage('busybox:1')
    await w.startAgent()
    for (let step = 0; step < STEPS; step++) {
      const dice = random.next()
      const present = w.api.list<Pod>(PODS)
      if (dice < 0.25) w.create(podOf(random, `p${names++}`))
      else if (dice < 0.35) w.runtime.control.fail(pick(random, FAILING) ?? 'listContainers', new Error('a bad day'), 1 + Math.floor(random.next() * 3))
      else if (dice < 0.45) {
        const victim = pick(random, w.runtime.control.running())
        if (victim) w.runtime.control.exit(victim.id, random.next() < 0.5 ? 0 : 1)
      } else if (dice < 0.55) {
        const victim = pick(random, present.filter((p) => p.metadata.deletionTimestamp === undefined))
        if (victim) w.api.deletePod(PODS, `default/${victim.metadata.name}`, pick(random, [0, 2, 30]) ?? 30)
      } else if (dice < 0.62) {
        up = !up
        w.api.down(!up)
      } else if (dice < 0.8) {
        const before = w.runtime.control.running().map((c) => c.id)
        await w.stopAgent()
        assert.deepStrictEqual(w.runtime.control.running().map((c) => c.id), before, 'the end of an agent ended containers')
        if (random.next() < 0.15) w.runtime.control.reboot()
        await w.startAgent()
      }
      await w.run(Math.floor(random.next() * 6_000))
      checkLaws(w, seen)
    }
    w.api.down(false)
    w.runtime.control.heal()
    await w.run(60_000)
    checkLaws(w, seen)
    for (const p of w.api.list<Pod>(PODS)) {
      if (p.metadata.deletionTimestamp !== undefined || p.status?.phase !== 'Running') continue
      assert.ok(p.status.containerStatuses?.every((s) => s.state?.running ?? s.state?.waiting ?? s.state?.terminated), `${p.metadata.name} has a container in no state`)
    }
    for (const p of w.api.list<Pod>(PODS)) if (p.metadata.deletionTimestamp === undefined) w.api.deletePod(PODS, `default/${p.metadata.name}`, 5)
    await w.until('all pods gone', () => w.api.list(PODS).length === 0, 120_000)
    await w.run(70_000)
    assert.deepStrictEqual({
      containers: (await w.runtime.listContainers()).map((c) => c.metadata), sandboxes: (await w.runtime.listPodSandbox()).map((s) => s.metadata), cgroups: [...w.cgroups],
      dirs: readdirSync(join(w.dir, 'agent/pods')), known: readdirSync(join(w.dir, 'agent/known-pods')), logs: existsSync(join(w.dir, 'logs')) ? readdirSync(join(w.dir, 'logs')) : [],
    }, { containers: [], sandboxes: [], cgroups: [], dirs: [], known: [], logs: [] })
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error })
  } finally {
    await w.end()
  }
}

for (let seed = 1; seed <= SEEDS; seed++) test(`bad days, seed ${seed}: nothing starts twice, counts never fall, everything deleted is gone without a trace`, () => roughDay(seed))
