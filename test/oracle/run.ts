/** `node test/oracle/run.ts ARGUMENTS`, where both servers are reached: asks all, prints what differs. main.ts starts it. */
import { writeFileSync } from 'node:fs'
import { Chance } from '../fuzz/chance.ts'
import { openClient } from './client.ts'
import { play } from './compare.ts'
import { DEFINITIONS } from './definitions.ts'
import type { Case } from './exchange.ts'
import { FAMILIES } from './families/index.ts'
import { grouped, printGroup, type Finding } from './report.ts'
import { LIMITED_NAMESPACE, SEEDS } from './seeds.ts'
import { SHAPES } from './shapes.ts'

export interface RunArguments { ours: string; theirs: string; seed: number; count: number; families: string[]; kinds: string[]; byKind: boolean; out?: string }

const IN_FLIGHT = 6
const SETTLED_MS = 6_000

const { ours, theirs, seed, count, families, kinds, byKind, out } = JSON.parse(process.argv[2] ?? '') as RunArguments
const servers = { ours: openClient(ours, IN_FLIGHT), theirs: openClient(theirs, IN_FLIGHT) }

function* allCases(): Iterable<Case> {
  let n = 0
  const seeds = SEEDS.filter(({ kind }) => kinds.length === 0 || kinds.some((k) => kind.includes(k)))
  for (const [name, family] of Object.entries(FAMILIES)) {
    if (families.length === 0 || families.includes(name)) yield* family({ chance: new Chance(seed), seeds, count, next: () => ++n })
  }
}

for (const client of Object.values(servers)) await client.ask('POST', '/api/v1/namespaces', { body: JSON.stringify({ metadata: { name: LIMITED_NAMESPACE } }) })
for (const definition of [...DEFINITIONS, ...SHAPES]) {
  for (const client of Object.values(servers)) {
    const { status, body } = await client.ask('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: JSON.stringify(definition) })
    if (status !== 201 && status !== 409) throw new Error(`a definition is refused: ${JSON.stringify(body)}`)
  }
}
// Informers of admission have seen the namespace, the definitions are served.
await new Promise((resolve) => setTimeout(resolve, SETTLED_MS))

const findings: Finding[] = []
const refused = new Map<string, number>()
let cases = 0
let requests = 0
const iterator = allCases()[Symbol.iterator]()
await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
  for (let next = iterator.next(); !next.done; next = iterator.next()) {
    const played = await play(next.value, servers)
    cases++
    requests += played.asked
    findings.push(...played.findings)
    if (played.refused !== undefined) refused.set(played.refused, (refused.get(played.refused) ?? 0) + 1)
  }
}))
for (const client of Object.values(servers)) client.close()

const unknown = findings.filter(({ known }) => known === undefined)
const groups = grouped(unknown, byKind)
for (const group of groups) console.log(`${printGroup(group)}\n`)
for (const [what, times] of refused) console.log(`refused by both, ${times} x: ${what}`)
for (const [line, times] of Object.entries(Object.groupBy(findings.filter((f) => f.known !== undefined), ({ known = '' }) => known)).map(([l, f]) => [l, f?.length] as const)) console.log(`known, ${times} x: ${line}`)
console.log(`${requests} requests in ${cases} cases, seed ${seed}: ${unknown.length} answers differ in ${groups.length} ways, ${findings.length - unknown.length} as server/DIVERGENCE.md says`)
if (out !== undefined) writeFileSync(out, findings.map(({ case: of, step, difference, sent, ours: a, theirs: b, known }) => JSON.stringify({ ...(known !== undefined && { known }), family: of.family, kind: of.kind, form: step.form, path: step.path, difference, sent, ...(!step.isDocument && { ours: a, theirs: b }) })).join('\n'))
