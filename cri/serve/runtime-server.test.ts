import { join } from 'node:path'
import { describe } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { connectRuntime, serveRuntime } from '#cri/index.ts'
import { missingForContainers, testMachine } from '#test/images/runtime-machine.ts'
import { busyboxStreams, runtimeContract } from '../runtime.contract.ts'

const missing = await missingForContainers()

describe('the embedded runtime over CRI', { skip: missing }, () => {
  runtimeContract('the embedded runtime over CRI', async () => {
    const machine = await testMachine()
    const socketPath = join(machine.root, 'cri.sock')
    const server = await serveRuntime(await machine.open(), { socketPath, clock: systemClock, random: systemRandom, log: silentLog })
    const runtime = await connectRuntime({ endpoint: socketPath, clock: systemClock, log: silentLog })
    return {
      runtime, imageRef: machine.imageRef, missingImageRef: `${machine.registry.host}/busybox:none`,
      logDirectory: `${machine.root}/logs`, cgroupParent: '/kubepods',
      runsOn: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'], exitsWith: (code) => ['sh', '-c', `exit ${code}`], notStartable: ['/no/such/program'],
      prints: (text, code) => ['sh', '-c', `printf %s '${text}'; exit ${code}`], streams: busyboxStreams,
      async close() {
        await runtime.close()
        await server.close()
        await machine.close()
      },
    }
  })
})
