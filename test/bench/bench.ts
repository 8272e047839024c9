/**
 * `npm run bench [-- --quick] [--only NAME] [--record] [--containerd]`: measures every budget of the design on the real binary
 * in the lab and prints one table. --record stores the figures as the new baseline. --containerd: pods on Debian's
 * containerd, too. Needs root. SKIFF_BINARY: another build than dist/skiff. The machine should have nothing else to do.
 */
import { existsSync, realpathSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { apiLoad } from './api-load.ts'
import { readBaseline, recordBaseline } from './baseline.ts'
import { capacity } from './capacity.ts'
import { cluster } from './cluster.ts'
import { isOver, type Figure, type Measurement } from './figure.ts'
import { idle } from './idle.ts'
import { logs } from './logs.ts'
import { node } from './node.ts'
import { pods } from './pods.ts'
import { size } from './size.ts'
import { startUp } from './start-up.ts'
import { printTable } from './table.ts'

const MEASUREMENTS: readonly Measurement[] = [size, startUp, pods, node, logs, apiLoad, capacity, idle, cluster]

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string', multiple: true }, record: { type: 'boolean', default: false }, containerd: { type: 'boolean', default: false } } })
const unknown = values.only?.find((n) => !MEASUREMENTS.some((m) => m.name === n))
if (unknown !== undefined) {
  console.error(`--only ${unknown}: there are\n${MEASUREMENTS.map((m) => `  ${m.name.padEnd(10)}${m.about}`).join('\n')}`)
  process.exit(2)
}
const given = process.env['SKIFF_BINARY'] ?? join(import.meta.dirname, '../../dist/skiff')
if (!existsSync(given)) throw new Error(`${given} is not there: npm run build makes dist/skiff`)
const options = { quick: values.quick, containerd: values.containerd, binary: realpathSync(given) }

const figures: Figure[] = []
for (const measurement of MEASUREMENTS) {
  if (values.only && !values.only.includes(measurement.name)) continue
  const startMs = performance.now()
  const found = await measurement.run(options)
  figures.push(...found)
  console.error(`${measurement.name}: ${((performance.now() - startMs) / 1000).toFixed(0)} s, load ${loadavg()[0]?.toFixed(1)}`)
}
console.log(printTable(figures, readBaseline()))
const over = figures.filter(isOver).length
if (over > 0) console.log(`\n${over} over budget`)
if (values.record) recordBaseline(figures)
process.exit(0)
