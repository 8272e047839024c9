/**
 * `scripts/soak.sh [--pods N] [--seed S] [--every MS] [--minutes M]`: pods of all sorts are created and deleted on one node of a lab, N in all
 * or as many as M minutes allow, while the agent and the server are killed at random moments. In the end everything is deleted, and what the node
 * holds is compared with what it held in the beginning. Ends with 1 if anything leaked, or a pod did not do what it should.
 */
import { parseArgs } from 'node:util'
import { aborted } from '#base/abort.ts'
import { seededRandom } from '#base/random.ts'
import { Cluster, within } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { memoryOf } from '../bench/process-usage.ts'
import { belongingsOf, diskBytes, isSkiff, type Belongings } from './belongings.ts'
import { podOf, POD_KINDS, wantedOf, type PodKind } from './pod-kinds.ts'

const { values } = parseArgs({ options: { pods: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' }, every: { type: 'string', default: '6000' }, minutes: { type: 'string' } } })
const total = Number(values.pods)
const random = seededRandom(Number(values.seed))
const killEveryMs = Number(values.every)
const withinMs = values.minutes === undefined ? Infinity : Number(values.minutes) * 60_000
const WAVE = 20
const READY_MS = 420_000
const GONE_MS = 240_000
const UP_MS = 90_000
const INSIST_MS = 300_000
/** What grows with use and is bounded elsewhere: a few files more or less say nothing. */
const SLACK: Readonly<Record<string, number>> = { 'open files of skiff': 12, 'neighbours and forwarding entries': 24, 'files of the agent, without layers': 4, 'files at run time': 2 }

const pick = <T>(items: readonly T[]): T => items[Math.floor(random.next() * items.length)] as T

const cluster = await Cluster.create({ hosts: 2 })
const [server, node] = cluster.lab.hosts as [LabHost, LabHost]
const kills = { agent: 0, server: 0 }
let killsOnTheWay = 0
const problems: string[] = []
let made = 0
try {
  await cluster.must(['cordon', server.name])
  await within('the default service account exists', 20_000, async () => (await cluster.kubectl(['get', 'serviceaccount', 'default'])).code === 0)
  await cluster.must(['create', 'configmap', 'soak', '--from-literal=a=b'])
  // One wave before the first look: images, chains and directories that stay are there then.
  await wave(0, POD_KINDS.length)
  await rest()
  const before = belongingsOf(node)
  const diskBefore = diskBytes(node)
  const memoryBefore = memoryOf(skiffPids()).rssMB
  const nemesis = new AbortController()
  const killing = killAtRandom(nemesis.signal)
  const startMs = performance.now()
  while (made < total && performance.now() - startMs < withinMs) {
    const count = Math.min(WAVE, total - made)
    await wave(made + POD_KINDS.length, count)
    made += count
    if ((made / WAVE) % 5 === 0) console.log(`${made} pods, ${kills.agent} kills of the agent, ${kills.server} of the server, ${((performance.now() - startMs) / 1000).toFixed(0)} s, agent ${memoryOf(skiffPids()).rssMB.toFixed(0)} MB`)
  }
  nemesis.abort()
  await killing
  await cluster.waitForApi()
  await cluster.waitForNodes()
  await settled(before)
  const after = belongingsOf(node)
  report(before, after)
  console.log(`disk of the node ${(diskBefore / 1e6).toFixed(1)} -> ${(diskBytes(node) / 1e6).toFixed(1)} MB, memory of the agent ${memoryBefore.toFixed(1)} -> ${memoryOf(skiffPids()).rssMB.toFixed(1)} MB`)
} catch (error) {
  problems.push(error instanceof Error ? error.message : String(error))
  console.error(`--- last lines of the agent\n${node.log('skiff').split('\n').slice(-30).join('\n')}`)
} finally {
  await cluster.destroy()
}
console.log(`soak: ${made} pods, seed ${values.seed}, ${kills.agent} kills of the agent, ${kills.server} of the server (${killsOnTheWay} not waited for): ${problems.length === 0 ? 'nothing leaked' : `${problems.length} problems`}`)
for (const problem of problems) console.log(`  ${problem}`)
process.exit(problems.length === 0 ? 0 : 1)

function skiffPids(): number[] {
  return node.processes().filter((p) => isSkiff(p.command) && !p.command.startsWith('nsenter')).map((p) => p.pid)
}

/** Creates pods, waits for most of them, deletes them all, some before they are up. */
async function wave(first: number, count: number): Promise<void> {
  const pods = Array.from({ length: count }, (_, i) => {
    const kind: PodKind = count === POD_KINDS.length ? (POD_KINDS[i] as PodKind) : pick(POD_KINDS)
    return { name: `soak-${first + i}`, kind, isHasty: count !== POD_KINDS.length && random.next() < 0.2, manifest: podOf(kind, `soak-${first + i}`, node.name, (first + i) % 5_000) }
  })
  await insist(['apply', '--server-side', '-f', '-'], pods.map((p) => JSON.stringify(p.manifest)).join('\n'))
  const awaited = new Map(pods.filter((p) => !p.isHasty && wantedOf(p.kind) !== undefined).map((p) => [p.name, p]))
  await within(`pods ${[...awaited.keys()].join(', ')} are what they should be`, READY_MS, async () => {
    const { code, stdout } = await cluster.kubectl(['get', 'pods', '-o', 'jsonpath={range .items[*]}{.metadata.name} {.status.phase} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'])
    if (code !== 0) return false
    for (const line of stdout.split('\n')) {
      const [name = '', phase, ready] = line.split(' ')
      const wanted = awaited.get(name)
      if (wanted && (wantedOf(wanted.kind) === 'Ready' ? ready === 'True' : phase === wantedOf(wanted.kind))) awaited.delete(name)
    }
    return awaited.size === 0
  }).catch(async (error: unknown) => {
    throw new Error(`${(error as Error).message}; left: ${[...awaited.values()].map((p) => `${p.name} (${p.kind})`).join(', ')}\n${(await cluster.kubectl(['get', 'pods', '-o', 'wide'])).stdout}`, { cause: error })
  })
  await insist(['delete', 'pods', '-l', 'app=soak', '--wait=false'])
  await within('all pods are gone', GONE_MS, async () => {
    const { code, stdout } = await cluster.kubectl(['get', 'pods', '-o', 'name'])
    return code === 0 && stdout.trim() === ''
  })
}

/** The server may be dead this very moment. */
async function insist(args: readonly string[], input?: string): Promise<void> {
  let last = ''
  await within(`kubectl ${args.join(' ')}`, INSIST_MS, async () => {
    const { code, stderr } = await cluster.kubectl(args, input === undefined ? {} : { input })
    last = stderr
    return code === 0
  }).catch((error: unknown) => { throw new Error(`${(error as Error).message}: ${last}`, { cause: error }) })
}

async function killAtRandom(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(killEveryMs * (0.5 + random.next()), signal)
    if (signal.aborted) return
    const isAgent = random.next() < 0.7
    const host = isAgent ? node : server
    await cluster.stop(host, 'SIGKILL')
    kills[isAgent ? 'agent' : 'server']++
    await pause(random.next() * 1_500, signal)
    const lives = upsOf(host)
    cluster.start(host)
    // Some are killed on their way up, the others once they are there: where a processor is shared by thirty, no life of a few seconds gets that far.
    if (random.next() < 0.25) killsOnTheWay++
    else await Promise.race([aborted(signal), within(`skiff on ${host.name} is up again`, UP_MS, () => upsOf(host) > lives).catch((error: unknown) => console.log((error as Error).message))])
  }
}

/** How often skiff has come up on this host. */
function upsOf(host: LabHost): number {
  return host.log('skiff').split(host === node ? 'pod network is up' : ' ready address=').length - 1
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve() }, { once: true })
  })
}

/** Nothing runs on the node but skiff. */
function rest(): Promise<void> {
  return within('no process of a pod is left', 30_000, () => node.processes().every((p) => isSkiff(p.command) || p.command === ''))
}

/** What is cleaned up a moment later is no leak. */
async function settled(before: Belongings): Promise<void> {
  await within('the node holds what it held', 60_000, () => leaks(before, belongingsOf(node)).length === 0).catch(() => { /* told by the report */ })
}

function leaks(before: Belongings, after: Belongings): string[] {
  return Object.entries(after).filter(([what, count]) => count > (before[what] ?? 0) + (SLACK[what] ?? 0)).map(([what, count]) => `${what}: ${before[what] ?? 0} -> ${count}`)
}

function report(before: Belongings, after: Belongings): void {
  for (const [what, count] of Object.entries(after)) console.log(`${what.padEnd(40)} ${String(before[what]).padStart(6)} -> ${count}`)
  problems.push(...leaks(before, after).map((leak) => `leaked ${leak}`))
}
