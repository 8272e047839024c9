/**
 * critest, the validation suite for container runtimes (cri-tools), on the embedded runtime of a node in the lab, over its CRI socket: what
 * scripts/cri-validation.sh ends with. The node's agent runs beside it, as everywhere.
 */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { EXPECTED } from './expected.ts'
import { MIRRORED, registryWithCritestImages } from './images.ts'

interface SpecReport { ContainerHierarchyTexts: string[] | null; LeafNodeType: string; LeafNodeText: string; State: string; Failure?: { Message: string } }

/** Of the whole suite; it takes minutes on a machine with nothing else to do. */
const SUITE_MS_MAX = 3_600_000

const { values } = parseArgs({ options: { focus: { type: 'string' }, skip: { type: 'string' }, out: { type: 'string' }, websocket: { type: 'boolean', default: false } } })
const cache = process.env['SKIFF_CRITEST_CACHE']
if (cache === undefined) throw new Error('scripts/cri-validation.sh starts this, and says where things are')
const out = resolve(values.out ?? mkdtempSync(join(tmpdir(), 'skiff-critest-')))
mkdirSync(out, { recursive: true })

/** Pods with users of their own reach what is theirs by way of the lab's directory. */
const prepare = async (host: LabHost): Promise<readonly string[]> => {
  for (const dir of [join(host.dir, '..'), host.dir]) chmodSync(dir, 0o711)
  return []
}
const cluster = await Cluster.create({ hosts: 1, registryDir: await registryWithCritestImages(cache), mirrored: MIRRORED, prepare })
try {
  const { server: host } = cluster
  const socket = `unix://${join(host.dataDir, 'agent/cri.sock')}`
  const report = join(out, 'report.json')
  const ran = await host.run([
    join(cache, 'critest'), `--runtime-endpoint=${socket}`, `--image-endpoint=${socket}`, `--ginkgo.json-report=${report}`, '--ginkgo.no-color',
    ...(values.websocket ? ['--websocket-exec', '--websocket-attach', '--websocket-portforward'] : []),
    ...(values.focus === undefined ? [] : [`--ginkgo.focus=${values.focus}`]), ...(values.skip === undefined ? [] : [`--ginkgo.skip=${values.skip}`]),
  ], { timeoutMs: SUITE_MS_MAX })
  console.log(ran.stdout)
  process.exitCode = tell(JSON.parse(readFileSync(report, 'utf8')) as { SpecReports: SpecReport[] }[])
} finally {
  await cluster.destroy()
}
process.exit()

function tell(suites: readonly { SpecReports: SpecReport[] }[]): number {
  const specs = suites.flatMap((suite) => suite.SpecReports).filter((spec) => spec.LeafNodeType === 'It').map((spec) => ({ ...spec, name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ') }))
  const passed = specs.filter(({ State }) => State === 'passed')
  const failed = specs.filter(({ State }) => State !== 'passed' && State !== 'skipped' && State !== 'pending')
  const skipped = specs.filter(({ State, Failure }) => State === 'skipped' && Failure !== undefined)
  const reasonOf = (name: string): string | undefined => EXPECTED.find((entry) => name.includes(entry.name))?.reason
  for (const { name, Failure } of skipped) console.log(`skipped  ${name}\n         ${Failure?.Message ?? ''}`)
  for (const { name, Failure } of failed) console.log(`${reasonOf(name) === undefined ? 'FAILED' : 'as expected, failed'}  ${name}\n        ${reasonOf(name) ?? Failure?.Message ?? ''}`)
  const surprising = [...failed.filter(({ name }) => reasonOf(name) === undefined), ...passed.filter(({ name }) => reasonOf(name) !== undefined)]
  console.log(`${passed.length} passed, ${failed.length} failed, of which ${surprising.length} were not expected, ${skipped.length} skipped; the report is in ${out}`)
  return surprising.length > 0 || passed.length === 0 ? 1 : 0
}
