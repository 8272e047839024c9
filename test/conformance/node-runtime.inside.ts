/**
 * The container runtime of a node by itself, while skiff is stopped: upstream's suite for nodes takes for granted that it is a program
 * of its own, and looks at containers and stops them then. `node node-runtime.inside.ts JSON`, on the node's host; ends at SIGTERM.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import { systemClock } from '#base/clock.ts'
import { createLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { createEmbeddedRuntime, serveRuntime } from '#cri/index.ts'

export interface Alone { readonly dataDir: string; readonly stateDir: string }

const { dataDir, stateDir } = JSON.parse(process.argv[2] ?? '{}') as Alone
const log = createLog({ format: 'text', level: 'warn', nowMs: () => systemClock.nowMs(), write: (line) => { process.stderr.write(`${line}\n`) } })
const runtime = await createEmbeddedRuntime({
  dataDir: join(dataDir, 'agent'), stateDir, clock: systemClock, random: systemRandom, log, selfCommand: ['false'],
  network: {
    setup: () => Promise.reject(new Error('no pod starts while its node is away')),
    // What is left of it skiff takes back when it starts.
    teardown: () => Promise.resolve(),
    notReadyReason: () => 'skiff is stopped',
  },
})
const server = await serveRuntime(runtime, { socketPath: join(dataDir, 'agent/cri.sock'), clock: systemClock, random: systemRandom, log })
console.log('ready')
await once(process, 'SIGTERM')
await server.close()
await runtime.close()
process.exit()
