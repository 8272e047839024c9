import { missingForContainers, testMachine } from '#test/images/runtime-machine.ts'
import { busyboxStreams, runtimeContract } from '../runtime.contract.ts'
import { describe } from 'node:test'

const missing = await missingForContainers()
describe('the embedded runtime', { skip: missing }, () => {
  runtimeContract('the embedded runtime', async () => {
    const machine = await testMachine()
    return {
      runtime: await machine.open(), imageRef: machine.imageRef, missingImageRef: `${machine.registry.host}/busybox:none`,
      logDirectory: `${machine.root}/logs`, cgroupParent: '/kubepods',
      runsOn: ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.1; done'], exitsWith: (code) => ['sh', '-c', `exit ${code}`], notStartable: ['/no/such/program'],
      prints: (text, code) => ['sh', '-c', `printf %s '${text}'; exit ${code}`], streams: busyboxStreams, close: () => machine.close(),
    }
  })
})
